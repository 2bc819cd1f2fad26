import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { SigningKeys } from './signing-keys.ts';

/** Writes what the registry trusts tokens by to `registry-token.pem` in the data folder; answers with its path. A reader finds the file whole. */
export async function writeCertificates(
  dataDirectory: string,
  signingKeys: Pick<SigningKeys, 'certificates'>,
): Promise<string> {
  const path = join(dataDirectory, 'registry-token.pem');
  const draft = `${path}.${process.pid}`;
  await writeFile(draft, await signingKeys.certificates());
  await rename(draft, path);
  return path;
}
