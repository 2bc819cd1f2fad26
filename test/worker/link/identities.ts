// @peculiar/x509 wants this polyfill to be there before it.
import 'reflect-metadata';
import type { webcrypto } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:https';
import * as x509 from '@peculiar/x509';

/** Certificates of a test's own, and servers that show them. */

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

export interface Identity {
  readonly certificate: x509.X509Certificate;
  readonly keys: webcrypto.CryptoKeyPair;
}

/** What a certificate is for. */
export const loopback: x509.JsonGeneralNames = [{ type: 'ip', value: '127.0.0.1' }];
export function dnsName(value: string): x509.JsonGeneralNames {
  return [{ type: 'dns', value }];
}

export async function authority(name: string): Promise<Identity> {
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: `CN=${name}`,
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [new x509.BasicConstraintsExtension(true, undefined, true)],
  });
  return { certificate, keys };
}

/** A certificate for these names, valid for a year from now, or within `validity`. */
export async function issue(
  by: Identity,
  names: x509.JsonGeneralNames,
  validity: { readonly notBefore?: Date; readonly notAfter?: Date } = {},
): Promise<Identity> {
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.create({
    subject: 'CN=somebody',
    issuer: by.certificate.subject,
    publicKey: keys.publicKey,
    signingKey: by.keys.privateKey,
    signingAlgorithm: ALGORITHM,
    extensions: names.length > 0 ? [new x509.SubjectAlternativeNameExtension(names)] : [],
    ...validity,
  });
  return { certificate, keys };
}

export function certificatePem({ certificate }: Identity): string {
  return certificate.toString('pem');
}

export async function keyPem({ keys }: Identity): Promise<string> {
  const key = Buffer.from(await crypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  return `-----BEGIN PRIVATE KEY-----\n${key}\n-----END PRIVATE KEY-----\n`;
}

/** A server on the loopback with this certificate, which asks for one of `clientCa` where that is given. */
export async function startTlsServer(identity: Identity, clientCa: Identity | null = null): Promise<Server> {
  const server = createServer({
    cert: certificatePem(identity),
    key: await keyPem(identity),
    ...(clientCa ? { ca: certificatePem(clientCa), requestCert: true, rejectUnauthorized: true } : {}),
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}
