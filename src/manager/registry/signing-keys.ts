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
import { keyContext } from '../secrets/own-key.ts';
import type { SecretBox } from '../secrets/secret-box.ts';

/**
 * The keys that sign registry tokens: shared by all managers of a database, sealed at rest. A registry trusts the certificates that it was
 * given when it started, so that a key is made known before it signs, and stays known for as long as its tokens live.
 *
 *     made known ──activate──▶ signs ──another is activated──▶ has signed ──retire──▶ gone
 *         └────────retire──────────────────────────────────────────────────────────────▲
 */

const KEY_KIND = 'registry-token';
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
/** The registry trusts the certificate itself, so that it need not be renewed while the key is good. */
const CERTIFICATE_YEARS = 20;

export interface SigningKey {
  readonly name: string;
  readonly privateKey: KeyObject;
  /** The certificate of the key, DER in base64: the `x5c` of a token (RFC 7515, section 4.1.6). */
  readonly x5c: string;
}

type SigningKeyState = 'made known' | 'signs' | 'has signed';

/** A key, and where it stands. */
interface KnownKey {
  readonly name: string;
  readonly state: SigningKeyState;
  readonly createdAt: Date;
  readonly activeSince: Date | null;
}

export interface SigningKeys {
  /**
   * The key that signs now, whoever activated it.
   * @throws SealError when it was sealed with a key that the key file does not hold.
   */
  current(): Promise<SigningKey>;
  /** One of {@link SigningKeys.list}, by its name; null when there is none. Throws as `current`. */
  named(name: string): Promise<SigningKey | null>;
  /** PEM of every certificate whose tokens may be about, or will be: the registry's `rootcertbundle`. */
  certificates(): Promise<string>;
  /** Newest first. */
  list(): Promise<readonly KnownKey[]>;
  /** Makes a key known that does not sign yet; answers with its name. */
  prepare(): Promise<string>;
}

/** Opens the keys, and makes the first one. Managers that start together end up with the same. `now` in milliseconds since 1970. */
export async function openSigningKeys(
  keys: KeyStore,
  box: SecretBox,
  now: () => number,
): Promise<SigningKeys> {
  const list = (): Promise<readonly KeyRow[]> => keys.list(KEY_KIND);
  if ((await list()).length === 0) await createKey(keys, box, now(), { number: 1, isActive: true });

  return {
    async current() {
      const row = signing(await list());
      if (row === null) throw new Error('no key signs registry tokens');
      return openKey(row, box);
    },
    async named(name) {
      const row = (await list()).find((each) => each.name === name);
      return row ? openKey(row, box) : null;
    },
    async certificates() {
      return (await list()).map((row) => `${certificateOf(row).trim()}\n`).join('');
    },
    async list() {
      const rows = await list();
      const current = signing(rows);
      return rows.map(({ name, createdAt, activeSince }) => ({
        name,
        createdAt,
        activeSince,
        state: activeSince === null ? 'made known' : name === current?.name ? 'signs' : 'has signed',
      }));
    },
    async prepare() {
      const numbers = (await list()).map(({ name }) => Number(/\d+$/.exec(name)?.[0] ?? 0));
      const { name } = await createKey(keys, box, now(), {
        number: Math.max(0, ...numbers) + 1,
        isActive: false,
      });
      return name;
    },
  };
}

function signing(rows: readonly KeyRow[]): KeyRow | null {
  const times = (row: KeyRow): number => row.activeSince?.getTime() ?? -Infinity;
  return rows
    .filter(({ activeSince }) => activeSince !== null)
    .reduce<KeyRow | null>((newest, row) => (newest && times(newest) >= times(row) ? newest : row), null);
}

function openKey(row: KeyRow, box: SecretBox): SigningKey {
  return {
    name: row.name,
    privateKey: createPrivateKey(box.open(keyContext(row.name), row.material)),
    x5c: certificateOf(row).replace(/-----[^-]+-----|\s/g, ''),
  };
}

async function createKey(
  keys: KeyStore,
  box: SecretBox,
  now: number,
  { number, isActive }: { readonly number: number; readonly isActive: boolean },
): Promise<KeyRow> {
  const name = `${KEY_KIND}-${number}`;
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
    name,
    kind: KEY_KIND,
    material: box.seal(keyContext(name), pem.toString()),
    certificate: certificate.toString('pem'),
    isActive,
  });
}

function certificateOf(row: KeyRow): string {
  if (row.certificate === null) throw new Error(`the key ${row.name} has no certificate`);
  return row.certificate;
}
