import { mkdir, mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { folderPrefix, removeWithProcesses } from './orphans.ts';
import { run } from './process.ts';

export interface SmallDisk extends AsyncDisposable {
  /** A folder with a file system of its own. */
  readonly path: string;
}

/** Mounts a file system of so many bytes, in memory. Needs root. */
export async function mountSmallDisk(bytes: number): Promise<SmallDisk> {
  const directory = await mkdtemp(`${folderPrefix()}disk-`);
  const path = join(directory, 'disk');
  await mkdir(path);
  await run('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', path]);
  return {
    path,
    async [Symbol.asyncDispose]() {
      await removeWithProcesses(directory);
    },
  };
}
