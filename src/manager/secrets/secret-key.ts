import { randomBytes, randomUUID } from 'node:crypto';
import { link, rm, stat, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { readBounded } from '../../contract/bounded-file.ts';
import { SETTINGS_FILE_MAX_BYTES } from '../../contract/configuration.ts';
import type { ManagerSettings } from '../settings.ts';
import { SECRET_KEYS_MAX } from '../limits.ts';

/** The keys that secrets at rest are sealed with: a file, `SECRET_KEY_FILE`, of one key a line. */

const KEY_BYTES = 32;

/** A key file that cannot be used. The message says which rule it broke and what to do; it never holds a key. */
export class SecretKeyError extends Error {
  override readonly name = 'SecretKeyError';
}

export interface SecretKeys {
  /** The first one seals; all of them open what they sealed. */
  readonly keys: readonly Uint8Array[];
  /** Whether the file was made just now: it must be kept with the data, which cannot be read without it. */
  readonly created: boolean;
}

/**
 * Reads the keys. A file that does not exist is created with a new key and mode 0600 where `create` allows it. To change the
 * key, put a new one on the first line and leave the older ones below it.
 *
 * @throws SecretKeyError when the file is missing, readable by others than its owner (or, of root's file, than its group), or not keys.
 */
export async function loadSecretKeys(path: string, { create }: { create: boolean }): Promise<SecretKeys> {
  if (create && (await createKeyFile(path))) return { keys: await readKeys(path), created: true };
  return { keys: await readKeys(path), created: false };
}

/** Where the key file is. */
export function secretKeyPath({
  SECRET_KEY_FILE,
  DATA_DIR,
}: Pick<ManagerSettings, 'SECRET_KEY_FILE' | 'DATA_DIR'>): string {
  return SECRET_KEY_FILE ?? join(resolve(DATA_DIR), 'secret.key');
}

/** Creates the file, whole from the first moment, with a new key; false when it exists already, also when another process was faster. */
async function createKeyFile(path: string): Promise<boolean> {
  const draft = `${path}.${randomUUID()}`;
  await writeFile(draft, `${randomBytes(KEY_BYTES).toString('base64')}\n`, { mode: 0o600, flag: 'wx' });
  try {
    await link(draft, path);
    return true;
  } catch (error) {
    if (isCode(error, 'EEXIST')) return false;
    throw error;
  } finally {
    await rm(draft);
  }
}

async function readKeys(path: string): Promise<Uint8Array[]> {
  let text: string;
  try {
    const { mode, uid } = await stat(path);
    // Secrets that Kubernetes and its like mount are root's, and their reader is in the group of the file.
    const isMounted = uid === 0 && process.geteuid?.() !== 0;
    if ((mode & (isMounted ? 0o037 : 0o077)) !== 0) {
      const bits = isMounted ? '640' : '600';
      throw new SecretKeyError(`${path} can be read by others than its owner; run: chmod ${bits} ${path}`);
    }
    text = (await readBounded(path, SETTINGS_FILE_MAX_BYTES)).toString('utf8');
  } catch (error) {
    if (error instanceof SecretKeyError) throw error;
    if (!isCode(error, 'ENOENT')) throw new SecretKeyError(`${path} cannot be read: ${String(error)}`);
    throw new SecretKeyError(
      `${path} does not exist; make one with: (umask 077; openssl rand -base64 32 > ${path})`,
    );
  }
  const lines = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  if (lines.length === 0 || lines.length > SECRET_KEYS_MAX) {
    throw new SecretKeyError(
      `${path} must hold 1 to ${SECRET_KEYS_MAX} keys, one a line; it has ${lines.length}`,
    );
  }
  return lines.map((line, index) => parseKey(line, `${path}, line ${index + 1}`));
}

function parseKey(text: string, where: string): Uint8Array {
  const key = /^[0-9a-f]{64}$/i.test(text) ? Buffer.from(text, 'hex') : Buffer.from(text, 'base64');
  const isWhole = /^(?:[0-9a-f]{64}|[A-Za-z0-9+/]{43}=?)$/i.test(text);
  if (!isWhole || key.length !== KEY_BYTES) {
    throw new SecretKeyError(`${where}: must be ${KEY_BYTES} random bytes in base64 or hexadecimal`);
  }
  return key;
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
