import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';

/**
 * Secrets at rest: AES-256-GCM, bound to the place they belong to, so that a sealed value copied to another row or column
 * does not open there.
 *
 *     version (1 byte, 0x01) | key's fingerprint (4) | nonce (12) | ciphertext | authentication tag (16)
 */

const VERSION = 1;
const FINGERPRINT_BYTES = 4;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const HEADER_BYTES = 1 + FINGERPRINT_BYTES;
const CIPHER = 'aes-256-gcm';

/** Something sealed does not open: another key, another context, or damaged bytes. The message tells which key, never what was in it. */
export class SealError extends Error {
  override readonly name = 'SealError';
}

export interface SecretBox {
  /** Seals `plain` for `context`, such as `build/ID/git`. Two calls never give the same bytes. */
  seal(context: string, plain: string): Uint8Array;
  /**
   * Opens what was sealed for the same context.
   * @throws SealError when it does not open.
   */
  open(context: string, sealed: Uint8Array): string;
  /** Of the key that seals, as it stands in what it sealed. */
  fingerprint(): Uint8Array;
}

/** A box whose keys can be changed while it is in use. */
export interface RekeyableBox extends SecretBox {
  /** The first key seals from now on; each opens what it sealed. */
  useKeys(keys: readonly Uint8Array[]): void;
}

/** Makes a box whose first key seals; the others only open, so that a key can be replaced. Keys have 32 bytes. */
export function createSecretBox(keys: readonly Uint8Array[]): RekeyableBox {
  let { current, byFingerprint } = ringOf(keys);

  return {
    seal(context, plain) {
      const header = Buffer.concat([Buffer.of(VERSION), fingerprint(current)]);
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv(CIPHER, current, nonce);
      cipher.setAAD(additionalData(header, context));
      return Buffer.concat([
        header,
        nonce,
        cipher.update(plain, 'utf8'),
        cipher.final(),
        cipher.getAuthTag(),
      ]);
    },

    open(context, sealed) {
      const bytes = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength);
      if (bytes.length < HEADER_BYTES + NONCE_BYTES + TAG_BYTES || bytes[0] !== VERSION) {
        throw new SealError('this is not a sealed secret of a version that is known here');
      }
      const header = bytes.subarray(0, HEADER_BYTES);
      const name = header.subarray(1).toString('hex');
      const key = byFingerprint.get(name);
      if (!key)
        throw new SealError(`the secret was sealed with key ${name}, which the key file does not hold`);
      const decipher = createDecipheriv(
        CIPHER,
        key,
        bytes.subarray(HEADER_BYTES, HEADER_BYTES + NONCE_BYTES),
      );
      decipher.setAAD(additionalData(header, context));
      decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
      try {
        const body = bytes.subarray(HEADER_BYTES + NONCE_BYTES, -TAG_BYTES);
        return Buffer.concat([decipher.update(body), decipher.final()]).toString('utf8');
      } catch {
        throw new SealError('the secret does not open: it was damaged, or sealed for another place');
      }
    },

    fingerprint: () => fingerprint(current),
    useKeys(next) {
      ({ current, byFingerprint } = ringOf(next));
    },
  };
}

function ringOf(keys: readonly Uint8Array[]): {
  readonly current: Uint8Array;
  readonly byFingerprint: ReadonlyMap<string, Uint8Array>;
} {
  const [current] = keys;
  if (!current) throw new SealError('a secret box needs a key');
  return { current, byFingerprint: new Map(keys.map((key) => [fingerprint(key).toString('hex'), key])) };
}

function fingerprint(key: Uint8Array): Buffer {
  return createHash('sha256').update('key fingerprint').update(key).digest().subarray(0, FINGERPRINT_BYTES);
}

function additionalData(header: Uint8Array, context: string): Buffer {
  return Buffer.concat([header, Buffer.from(context, 'utf8')]);
}
