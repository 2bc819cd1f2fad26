import { timingSafeEqual } from 'node:crypto';
import { access, rename, rm, stat, writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { FileTooLarge, readBounded } from '../../contract/bounded-file.ts';
import { reasonOf } from '../../contract/reason.ts';
import { SECRETS_FILE_MAX_BYTES } from '../limits.ts';
import { hashSecret, newSecret } from './tokens.ts';

/** Files of secrets that others hold, such as tokens: whose they are, their hashes and what they are good for, never themselves. */

/** One secret as it stands in a file. */
export interface SecretEntry {
  readonly name: string;
  readonly hash: string;
}

/** The hash of a secret, as files have it. */
export const secretHashSchema = z
  .string()
  .regex(/^sha256:[0-9a-f]{64}$/, 'must be sha256: and 64 hexadecimal digits');

/** A kind of such file. */
export interface SecretsFormat<Entry extends SecretEntry> {
  readonly schema: z.ZodType<readonly Entry[]>;
  /** What the file must be, for who wrote it otherwise: "a list like …". */
  readonly example: string;
}

/** A file that cannot be used. The message names the file and what is wrong with it. */
export class SecretsFileError extends Error {
  override readonly name = 'SecretsFileError';
}

export interface WatchedSecrets<Entry> {
  /** The entry of a secret, or null. Looks first whether the file has changed. */
  find(secret: string): Promise<Entry | null>;
}

/**
 * Reads a file of secrets. It is read again when it has changed; one that has become wrong is reported and the entries of before
 * stay good, so that a slip of the editor locks nobody out.
 *
 * @throws SecretsFileError when the file cannot be used at the start.
 */
export async function watchSecretsFile<Entry extends SecretEntry>(
  path: string,
  format: SecretsFormat<Entry>,
  onReloadError: (error: SecretsFileError) => void,
): Promise<WatchedSecrets<Entry>> {
  const load = async (): Promise<readonly { readonly entry: Entry; readonly hash: Buffer }[]> =>
    (await readSecretsFile(path, format)).map((entry) => ({ entry, hash: decode(entry) }));
  let version = await versionOf(path);
  let known = await load();

  return {
    async find(secret) {
      try {
        const current = await versionOf(path);
        if (current !== version) {
          version = current;
          known = await load();
        }
      } catch (error) {
        if (!(error instanceof SecretsFileError)) throw error;
        onReloadError(error);
      }
      const given = hashSecret(secret);
      // Every entry is compared, so that the time tells nothing of which one fits.
      let found: Entry | null = null;
      for (const { entry, hash } of known) if (timingSafeEqual(given, hash)) found = entry;
      return found;
    },
  };
}

/** Makes a secret of 256 random bits, and the hash by which a file knows it. It is shown once and kept nowhere. */
export function newHashedSecret(prefix: string): { readonly secret: string; readonly hash: string } {
  const secret = prefix + newSecret();
  return { secret, hash: `sha256:${hashSecret(secret).toString('hex')}` };
}

/**
 * Reads a file of secrets, whole and checked.
 *
 * @throws SecretsFileError
 */
async function readSecretsFile<Entry extends SecretEntry>(
  path: string,
  { schema, example }: SecretsFormat<Entry>,
): Promise<readonly Entry[]> {
  let content: unknown;
  try {
    content = JSON.parse((await readBounded(path, SECRETS_FILE_MAX_BYTES)).toString('utf8'));
  } catch (error) {
    const what = error instanceof SyntaxError ? 'it is not JSON' : codeOf(error);
    throw new SecretsFileError(`${path} cannot be read: ${what}`, { cause: error });
  }
  const parsed = schema.safeParse(content);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new SecretsFileError(
      `${path}: ${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}; it must be ${example}`,
    );
  }
  const names = parsed.data.map(({ name }) => name);
  const double = names.find((name, index) => names.indexOf(name) !== index);
  if (double !== undefined) throw new SecretsFileError(`${path}: the name ${double} is there twice`);
  return parsed.data;
}

/**
 * Adds an entry to a file, which is made when it does not exist, in the place of one of the same name.
 *
 * @throws SecretsFileError for a file that is none of this format, or cannot be written.
 */
export async function addToSecretsFile<Entry extends SecretEntry>(
  path: string,
  format: SecretsFormat<Entry>,
  entry: Entry,
): Promise<void> {
  const entries = (await exists(path)) ? await readSecretsFile(path, format) : [];
  await writeSecretsFile(path, [...entries.filter(({ name }) => name !== entry.name), entry]);
}

/**
 * Takes the entry of a name out of a file. `false`: there is none.
 *
 * @throws SecretsFileError as adding does.
 */
export async function removeFromSecretsFile<Entry extends SecretEntry>(
  path: string,
  format: SecretsFormat<Entry>,
  name: string,
): Promise<boolean> {
  const entries = await readSecretsFile(path, format);
  const others = entries.filter((each) => each.name !== name);
  if (others.length === entries.length) return false;
  await writeSecretsFile(path, others);
  return true;
}

/** The file is whole at every moment, so that a running manager may read it. */
async function writeSecretsFile(path: string, entries: readonly SecretEntry[]): Promise<void> {
  const draft = `${path}.${process.pid}`;
  try {
    await writeFile(draft, `${JSON.stringify(entries, null, 2)}\n`, { mode: 0o600 });
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true }).catch(() => undefined);
    throw new SecretsFileError(`${path} cannot be written: ${reasonOf(error)}`, { cause: error });
  }
}

function decode({ hash }: SecretEntry): Buffer {
  return Buffer.from(hash.slice('sha256:'.length), 'hex');
}

async function versionOf(path: string): Promise<string> {
  try {
    const { mtimeNs, size, ino } = await stat(path, { bigint: true });
    return `${mtimeNs}/${size}/${ino}`;
  } catch (error) {
    throw new SecretsFileError(`${path} cannot be read: ${codeOf(error)}`, { cause: error });
  }
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

function codeOf(error: unknown): string {
  if (error instanceof FileTooLarge) return error.message;
  return error instanceof Error && 'code' in error ? String(error.code) : 'it cannot be opened';
}
