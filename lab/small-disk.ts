import { chmod, mkdir, mkdtemp, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { folderPrefix, removeWithProcesses } from './orphans.ts';
import { run } from './process.ts';

export interface SmallDisk extends AsyncDisposable {
  /** A folder with a file system of its own, which any user may pass through. */
  readonly path: string;
  /** Takes all the room that there is. */
  fill(): Promise<void>;
  /** Gives that room back. */
  free(): Promise<void>;
}

/** In bytes. */
const LARGEST_PIECE = 1024 ** 2;
const SMALLEST_PIECE = 1024;

/** Mounts a file system of so many bytes, in memory. Needs root. */
export async function mountSmallDisk(bytes: number): Promise<SmallDisk> {
  const directory = await mkdtemp(`${folderPrefix()}disk-`);
  const path = join(directory, 'disk');
  await mkdir(path);
  await run('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', path]);
  for (const folder of [directory, path]) await chmod(folder, 0o711);
  const ballast = join(path, 'ballast');
  return {
    path,
    async fill() {
      await using file = await open(ballast, 'a');
      for (let size = LARGEST_PIECE; size >= SMALLEST_PIECE;) {
        // With a full disk, a write may also be a short one.
        const written = await file.write(Buffer.alloc(size)).then(
          ({ bytesWritten }) => bytesWritten,
          () => 0,
        );
        if (written < size) size /= 4;
      }
    },
    free: () => rm(ballast),
    async [Symbol.asyncDispose]() {
      await removeWithProcesses(directory);
    },
  };
}
