import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Claim, Store } from '../../../src/store/index.ts';

/** What tests of the command line submit, and what becomes of it. */

export const DIGEST = `sha256:${'a'.repeat(64)}`;

export const complete = (store: Store, { lease }: Claim): Promise<boolean> =>
  store.leases.finish(lease, {
    state: 'complete',
    outputs: { image_id: 'sha256:1', digests: { latest: DIGEST } },
  });

/** Makes a folder `app` in this one, of whose files `.dockerignore` names some. */
export async function writeApp(folder: string): Promise<void> {
  await mkdir(join(folder, 'app/node_modules/x'), { recursive: true });
  await writeFile(join(folder, 'app/Dockerfile'), 'FROM scratch\nCOPY . /\n');
  await writeFile(join(folder, 'app/.dockerignore'), 'node_modules\n*.log\nDockerfile\n');
  await writeFile(join(folder, 'app/main.c'), 'int main(void) { return 0; }\n');
  await writeFile(join(folder, 'app/debug.log'), 'noise\n');
  await writeFile(join(folder, 'app/node_modules/x/index.js'), '');
}
