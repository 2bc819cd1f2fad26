import { z } from 'zod';
import {
  newHashedSecret,
  secretHashSchema,
  watchSecretsFile,
  type SecretsFileError,
  type SecretsFormat,
} from '../secrets/secrets-file.ts';
import { API_TOKENS_MAX } from './limits.ts';

/** Bearer tokens of the API, from a file (`API_TOKENS_FILE`) that holds their names, hashes and scopes, never themselves. */

/**
 * What a token may do: `read` looks, `write` submits and cancels, `credentials` sees and sets who namespaces are at registries, `admin`
 * does everything.
 */
export const apiScopes = ['read', 'write', 'credentials', 'admin'] as const;
export type ApiScope = (typeof apiScopes)[number];

/** Whose a token is: the name that builds say who submitted them. */
export const apiTokenNameSchema = z.string().regex(/^[\w.@-]{1,64}$/, 'must be 1 to 64 of [A-Za-z0-9_.@-]');

/** One token as it stands in the file. */
export interface ApiTokenEntry {
  readonly name: string;
  readonly hash: string;
  readonly scopes: readonly ApiScope[];
}

/** The file of `API_TOKENS_FILE`. */
export const apiTokensFormat: SecretsFormat<ApiTokenEntry> = {
  schema: z
    .array(
      z.strictObject({
        name: apiTokenNameSchema,
        hash: secretHashSchema,
        scopes: z.array(z.enum(apiScopes)).min(1),
      }),
    )
    .max(API_TOKENS_MAX),
  example:
    'a list like [{"name":"ci","hash":"sha256:…","scopes":["read","write"]}], as quay-build-manager token prints it',
};

/** Who makes a request, and what they may do. */
export interface ApiCaller {
  readonly name: string;
  readonly scopes: readonly ApiScope[];
}

export interface ApiTokens {
  /** The caller that a token belongs to, or null. Looks first whether the file has changed. */
  authenticate(token: string): Promise<ApiCaller | null>;
}

/**
 * Reads the tokens file, and again when it changes, as {@link watchSecretsFile} says.
 *
 * @throws SecretsFileError when the file cannot be used at the start.
 */
export async function loadApiTokens(
  path: string,
  onReloadError: (error: SecretsFileError) => void,
): Promise<ApiTokens> {
  const tokens = await watchSecretsFile(path, apiTokensFormat, onReloadError);
  return {
    async authenticate(token) {
      const found = await tokens.find(token);
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
  const { secret, hash } = newHashedSecret('qb_');
  return { token: secret, entry: { name, hash, scopes: [...scopes] } };
}
