import { createHash, randomBytes } from 'node:crypto';

/** Secrets that are only ever compared: what is kept of them is a hash, which 256 random bits need not be slow for. */

/** A new secret of 256 random bits, in 43 characters that fit a URL, a header and a shell. */
export function newSecret(): string {
  return randomBytes(32).toString('base64url');
}

/** SHA-256 of a secret: the form in which it is stored and looked up. */
export function hashSecret(secret: string): Buffer {
  return createHash('sha256').update(secret, 'utf8').digest();
}
