import { readFile, rename, writeFile } from 'node:fs/promises';
import { ApiTokensError, newApiToken, type ApiScope } from './http/api-tokens.ts';

/**
 * Makes a token for the API and adds its hash to the file, in the place of one of the same name. The file is whole at every
 * moment, so that a running manager may read it.
 *
 * @throws ApiTokensError for a file that is no list.
 */
export async function addApiToken(path: string, name: string, scopes: readonly ApiScope[]): Promise<string> {
  const { token, entry } = newApiToken(name, scopes);
  const others = (await readEntries(path)).filter((each) => each.name !== name);
  const draft = `${path}.${process.pid}`;
  await writeFile(draft, `${JSON.stringify([...others, entry], null, 2)}\n`, { mode: 0o600 });
  await rename(draft, path);
  return token;
}

async function readEntries(path: string): Promise<{ name?: unknown }[]> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
  const entries: unknown = JSON.parse(text);
  if (!Array.isArray(entries)) throw new ApiTokensError(`${path} is no list of tokens`);
  return entries as { name?: unknown }[];
}
