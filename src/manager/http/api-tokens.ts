import { timingSafeEqual } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { z } from 'zod';
import { hashSecret, newSecret } from '../secrets/tokens.ts';
import { API_TOKENS_MAX } from './limits.ts';

/** Bearer tokens of the API, from a file (`API_TOKENS_FILE`) that holds their names, hashes and scopes, never themselves. */

/** What a token may do: `read` looks, `write` submits and cancels, `admin` does everything. */
export const apiScopes = ['read', 'write', 'admin'] as const;
export type ApiScope = (typeof apiScopes)[number];

const PREFIX = 'qb_';

/** Whose a token is: the name that builds say who submitted them. */
export const apiTokenNameSchema = z.string().regex(/^[\w.@-]{1,64}$/, 'must be 1 to 64 of [A-Za-z0-9_.@-]');

const tokensFileSchema = z
  .array(
    z.strictObject({
      name: apiTokenNameSchema,
      hash: z.string().regex(/^sha256:[0-9a-f]{64}$/, 'must be sha256: and 64 hexadecimal digits'),
      scopes: z.array(z.enum(apiScopes)).min(1),
    }),
  )
  .max(API_TOKENS_MAX);

/** One token as it stands in the file. */
export type ApiTokenEntry = z.output<typeof tokensFileSchema>[number];

/** Who makes a request, and what they may do. */
export interface ApiCaller {
  readonly name: string;
  readonly scopes: readonly ApiScope[];
}

export interface ApiTokens {
  /** The caller that a token belongs to, or null. Looks first whether the file has changed. */
  authenticate(token: string): Promise<ApiCaller | null>;
}

/** A tokens file that cannot be used. The message names the file and what is wrong with it. */
export class ApiTokensError extends Error {
  override readonly name = 'ApiTokensError';
}

/**
 * Reads the tokens file. It is read again when it has changed; one that has become wrong is reported and the tokens of before
 * stay good, so that a slip of the editor locks nobody out.
 *
 * @throws ApiTokensError when the file cannot be used at the start.
 */
export async function loadApiTokens(
  path: string,
  onReloadError: (error: ApiTokensError) => void,
): Promise<ApiTokens> {
  let version = await versionOf(path);
  let entries = await readTokensFile(path);

  return {
    async authenticate(token) {
      try {
        const current = await versionOf(path);
        if (current !== version) {
          version = current;
          entries = await readTokensFile(path);
        }
      } catch (error) {
        if (!(error instanceof ApiTokensError)) throw error;
        onReloadError(error);
      }
      const hash = hashSecret(token);
      // Every entry is compared, so that the time tells nothing of which one fits.
      let found: ApiTokenEntry | null = null;
      for (const entry of entries) {
        if (timingSafeEqual(hash, Buffer.from(entry.hash.slice('sha256:'.length), 'hex'))) found = entry;
      }
      return found && { name: found.name, scopes: found.scopes };
    },
  };
}

/**
 * Makes a token of 256 random bits, and the entry for the file that knows it. The token is shown once and kept nowhere. The name
 * follows {@link apiTokenNameSchema}.
 */
export function newApiToken(
  name: string,
  scopes: readonly ApiScope[],
): { token: string; entry: ApiTokenEntry } {
  const token = PREFIX + newSecret();
  const hash = `sha256:${hashSecret(token).toString('hex')}`;
  return { token, entry: { name, hash, scopes: [...scopes] } };
}

async function versionOf(path: string): Promise<string> {
  try {
    const { mtimeNs, size, ino } = await stat(path, { bigint: true });
    return `${mtimeNs}/${size}/${ino}`;
  } catch (error) {
    throw new ApiTokensError(`${path} cannot be read: ${reason(error)}`, { cause: error });
  }
}

/**
 * Reads a tokens file, whole and checked.
 *
 * @throws ApiTokensError
 */
export async function readTokensFile(path: string): Promise<readonly ApiTokenEntry[]> {
  let content: unknown;
  try {
    content = JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    const what = error instanceof SyntaxError ? 'it is not JSON' : reason(error);
    throw new ApiTokensError(`${path} cannot be read: ${what}`, { cause: error });
  }
  const parsed = tokensFileSchema.safeParse(content);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new ApiTokensError(
      `${path}: ${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}; it must be a list like ` +
        '[{"name":"ci","hash":"sha256:…","scopes":["read","write"]}], as quay-build-manager token prints it',
    );
  }
  const names = parsed.data.map(({ name }) => name);
  const double = names.find((name, index) => names.indexOf(name) !== index);
  if (double !== undefined) throw new ApiTokensError(`${path}: the name ${double} is there twice`);
  return parsed.data;
}

function reason(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'it cannot be opened';
}
