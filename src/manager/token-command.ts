import { access, rename, rm, writeFile } from 'node:fs/promises';
import { reasonOf } from '../contract/reason.ts';
import { ApiTokensError, newApiToken, readTokensFile, type ApiScope } from './http/api-tokens.ts';

/**
 * Makes a token for the API and adds its hash to the file, in the place of one of the same name. The file is whole at every
 * moment, so that a running manager may read it.
 *
 * @throws ApiTokensError for a file that is no list, or cannot be written.
 */
export async function addApiToken(path: string, name: string, scopes: readonly ApiScope[]): Promise<string> {
  const { token, entry } = newApiToken(name, scopes);
  const entries = (await exists(path)) ? await readTokensFile(path) : [];
  const others = entries.filter((each) => each.name !== name);
  const draft = `${path}.${process.pid}`;
  try {
    await writeFile(draft, `${JSON.stringify([...others, entry], null, 2)}\n`, { mode: 0o600 });
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true }).catch(() => undefined);
    const reason = reasonOf(error);
    throw new ApiTokensError(`${path} cannot be written: ${reason}`, { cause: error });
  }
  return token;
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
