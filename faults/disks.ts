import { rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../lab/process.ts';

const FILLER = 'filler';

/** How often the room is measured again, when whoever writes meanwhile was faster. */
const TRIES = 20;

/** Takes the room that there is on the file system of a folder, nearly to the last byte. */
export async function fill(folder: string): Promise<void> {
  for (let number = 1; ; number += 1) {
    const { bavail, bsize } = await statfs(folder);
    // The more often somebody was faster, the more is left to them.
    const length = bavail * bsize - number * 128 * 1024;
    if (length <= 0) return;
    try {
      await run('fallocate', ['--length', String(length), join(folder, FILLER)]);
      return;
    } catch (error) {
      if (number === TRIES) throw error;
    }
  }
}

export async function relieve(folder: string): Promise<void> {
  await rm(join(folder, FILLER), { force: true });
}
