import { rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../lab/process.ts';

const FILLER = 'filler';

/** What may be left free: whoever writes while the filler is made would have it fail otherwise. */
const SPARE_BYTES = 128 * 1024;

/** Takes the room that there is on the file system of a folder. */
export async function fill(folder: string): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  const length = bavail * bsize - SPARE_BYTES;
  if (length > 0) await run('fallocate', ['--length', String(length), join(folder, FILLER)]);
}

export async function relieve(folder: string): Promise<void> {
  await rm(join(folder, FILLER), { force: true });
}
