// @peculiar/x509 wants this polyfill to be there before it.
import 'reflect-metadata';
import type { webcrypto } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocketServer } from 'ws';
import { readTlsOptions, type TlsPaths } from '../../../src/worker/link/tls.ts';
import { openTransport } from '../../../src/worker/link/transport.ts';
import { fastClock } from '../harness.ts';
import { startTestManager } from '../test-manager.ts';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const never = new AbortController().signal;

interface Identity {
  readonly certificate: x509.X509Certificate;
  readonly keys: webcrypto.CryptoKeyPair;
}

async function authority(name: string): Promise<Identity> {
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: `CN=${name}`,
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [new x509.BasicConstraintsExtension(true, undefined, true)],
  });
  return { certificate, keys };
}

async function issue(by: Identity, name: string, names: x509.JsonGeneralNames): Promise<Identity> {
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.create({
    subject: `CN=${name}`,
    issuer: by.certificate.subject,
    publicKey: keys.publicKey,
    signingKey: by.keys.privateKey,
    signingAlgorithm: ALGORITHM,
    extensions: names.length > 0 ? [new x509.SubjectAlternativeNameExtension(names)] : [],
  });
  return { certificate, keys };
}

async function keyPem({ keys }: Identity): Promise<string> {
  const key = Buffer.from(await crypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  return `-----BEGIN PRIVATE KEY-----\n${key}\n-----END PRIVATE KEY-----\n`;
}

let directory: string;
let ca: Identity;
let otherCa: Identity;
const paths: TlsPaths = { ca: null, certificate: null, key: null, serverName: null };

async function file(name: string, content: string): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, content);
  return path;
}

async function tlsServer(identity: Identity, clientCa?: Identity): Promise<Server> {
  const server = createServer({
    cert: identity.certificate.toString('pem'),
    key: await keyPem(identity),
    ...(clientCa
      ? { ca: clientCa.certificate.toString('pem'), requestCert: true, rejectUnauthorized: true }
      : {}),
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

/** Connects as these settings say; answers with `connected`, or why not. */
async function connect(server: Server, tls: Partial<TlsPaths>): Promise<string> {
  await using manager = await startTestManager({}, server);
  try {
    const transport = await openTransport(
      manager.url,
      readTlsOptions({ ...paths, ...tls }),
      fastClock,
      never,
    );
    transport.end();
    await transport.closed;
    return 'connected';
  } catch (error) {
    return String(error);
  } finally {
    server.close();
    server.closeAllConnections();
  }
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'quay-builder-tls-'));
  [ca, otherCa] = await Promise.all([authority('Lab'), authority('Impostor')]);
});
afterAll(() => rm(directory, { recursive: true }));

describe('TLS', () => {
  const address: x509.JsonGeneralNames = [{ type: 'ip', value: '127.0.0.1' }];

  it('connects to a manager whose certificate comes from the given authority and is for its host', async () => {
    const server = await tlsServer(await issue(ca, 'manager', address));
    const path = await file('ca.pem', ca.certificate.toString('pem'));
    expect(await connect(server, { ca: path })).toBe('connected');
  });

  it('refuses a certificate of another authority', async () => {
    const server = await tlsServer(await issue(otherCa, 'manager', address));
    const path = await file('ca.pem', ca.certificate.toString('pem'));
    expect(await connect(server, { ca: path })).toMatch(/unable to verify|self-signed/);
  });

  it('refuses a certificate of an authority that the system does not know, when none is given', async () => {
    const server = await tlsServer(await issue(ca, 'manager', address));
    expect(await connect(server, {})).toMatch(/unable to verify/);
  });

  it('refuses a certificate for another host', async () => {
    const server = await tlsServer(await issue(ca, 'manager', [{ type: 'dns', value: 'other.example' }]));
    const path = await file('ca.pem', ca.certificate.toString('pem'));
    expect(await connect(server, { ca: path })).toMatch(/does not match certificate's altnames/);
  });

  it('takes the server name that is configured, and no other', async () => {
    const identity = await issue(ca, 'manager', [{ type: 'dns', value: 'quay-services' }]);
    const path = await file('ca.pem', ca.certificate.toString('pem'));
    expect(await connect(await tlsServer(identity), { ca: path, serverName: 'quay-services' })).toBe(
      'connected',
    );
    expect(await connect(await tlsServer(identity), { ca: path, serverName: 'quay-other' })).toMatch(
      /does not match/,
    );
  });

  it("shows the worker's own certificate to a manager that asks for one", async () => {
    const worker = await issue(ca, 'worker', []);
    const tls = {
      ca: await file('ca.pem', ca.certificate.toString('pem')),
      certificate: await file('worker.pem', worker.certificate.toString('pem')),
      key: await file('worker.key', await keyPem(worker)),
    };
    const identity = await issue(ca, 'manager', address);
    expect(await connect(await tlsServer(identity, ca), tls)).toBe('connected');
    expect(await connect(await tlsServer(identity, ca), { ca: tls.ca })).not.toBe('connected');
  });

  it('names the setting whose file cannot be read', () => {
    expect(() => readTlsOptions({ ...paths, key: '/nowhere/key.pem' })).toThrow(
      /^TLS_KEY_PATH: must be the path of a readable PEM file: ENOENT/,
    );
  });
});

describe('silence', () => {
  it('ends a connection whose peer answered pings, and then fell silent', async () => {
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1', autoPong: false });
    await once(server, 'listening');
    server.once('connection', (socket) => socket.once('ping', () => socket.pong()));
    const url = new URL(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
    const transport = await openTransport(url, {}, fastClock, never);
    expect(await transport.closed).toBe('the manager has fallen silent');
    server.close();
  });

  it('keeps a connection whose peer never answers pings', async () => {
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1', autoPong: false });
    await once(server, 'listening');
    const pinged = new Promise<void>((resolve) => {
      let pings = 0;
      server.once('connection', (socket) => socket.on('ping', () => (pings += 1) === 6 && resolve()));
    });
    const url = new URL(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
    const transport = await openTransport(url, {}, fastClock, never);
    await Promise.race([pinged, transport.closed.then((reason) => Promise.reject(new Error(reason)))]);
    transport.end();
    await transport.closed;
    server.close();
  });
});
