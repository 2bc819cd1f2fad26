// @peculiar/x509 wants this polyfill to be there before it.
import 'reflect-metadata';
import { webcrypto, type KeyObject, createPrivateKey } from 'node:crypto';
import {
  BasicConstraintsExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  X509CertificateGenerator,
} from '@peculiar/x509';
import type { KeyRow, KeyStore } from '../../store/index.ts';
import type { SecretBox } from '../secrets/secret-box.ts';

/** The key that signs registry tokens: made once, shared by all managers of a database, sealed at rest. */

const KEY_KIND = 'registry-token';
const KEY_NAME = 'registry-token-1';
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
/** The registry trusts the certificate itself, so that it need not be renewed while the key is good. */
const CERTIFICATE_YEARS = 20;

export interface SigningKey {
  readonly privateKey: KeyObject;
  /** The certificate of the key, DER in base64: the `x5c` of a token (RFC 7515, section 4.1.6). */
  readonly x5c: string;
  /** PEM of every certificate whose tokens may be about: the registry's `rootcertbundle`. */
  readonly certificates: string;
}

/**
 * Gets the signing key, or makes it. Managers that start together end up with the same one.
 *
 * @throws SealError when it was sealed with a key that the key file does not hold.
 */
export async function ensureSigningKey(
  keys: KeyStore,
  box: SecretBox,
  now: () => number,
): Promise<SigningKey> {
  const known = await keys.list(KEY_KIND);
  const current = known.find(({ retiredAt }) => retiredAt === null) ?? (await createKey(keys, box, now()));
  const all = known.includes(current) ? known : [current, ...known];
  return {
    privateKey: createPrivateKey(box.open(keyContext(current.name), current.material)),
    x5c: certificateOf(current).replace(/-----[^-]+-----|\s/g, ''),
    certificates: all.map((row) => `${certificateOf(row).trim()}\n`).join(''),
  };
}

async function createKey(keys: KeyStore, box: SecretBox, now: number): Promise<KeyRow> {
  const pair = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const notAfter = new Date(now);
  notAfter.setUTCFullYear(notAfter.getUTCFullYear() + CERTIFICATE_YEARS);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: 'CN=quay-build-manager registry tokens',
    // The registry's clock may be behind ours.
    notBefore: new Date(now - 24 * 3600 * 1000),
    notAfter,
    signingAlgorithm: ALGORITHM,
    keys: pair,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
    ],
  });
  const der = await webcrypto.subtle.exportKey('pkcs8', pair.privateKey);
  const pem = createPrivateKey({ key: Buffer.from(der), format: 'der', type: 'pkcs8' }).export({
    format: 'pem',
    type: 'pkcs8',
  });
  return keys.create({
    name: KEY_NAME,
    kind: KEY_KIND,
    material: box.seal(keyContext(KEY_NAME), pem.toString()),
    certificate: certificate.toString('pem'),
  });
}

function keyContext(name: string): string {
  return `key/${name}`;
}

function certificateOf(row: KeyRow): string {
  if (row.certificate === null) throw new Error(`the key ${row.name} has no certificate`);
  return row.certificate;
}
