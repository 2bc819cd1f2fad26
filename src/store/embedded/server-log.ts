import { open, truncate, writeFile } from 'node:fs/promises';
import { SERVER_LOG_BYTES } from '../limits.ts';

/** What our own server says, in a file that it appends to. */

/**
 * Drops the older half of a log that has grown too long, also under a server that writes to it: at most what it says in that moment is lost.
 * Answers with where new lines will begin.
 */
export async function shortenLog(path: string): Promise<number> {
  const size = await sizeOf(path);
  if (size <= SERVER_LOG_BYTES) return size;
  const newer = await readLog(path, size - SERVER_LOG_BYTES / 2);
  await truncate(path);
  await writeFile(path, `${newer}\n`, { flag: 'a' });
  return Buffer.byteLength(newer) + 1;
}

/** What it has said from there on; its last lines when `offset` is absent. */
export async function readLog(path: string, offset?: number): Promise<string> {
  const size = await sizeOf(path);
  const from = offset ?? Math.max(0, size - LAST_BYTES);
  if (size <= from) return '';
  await using file = await open(path);
  const { buffer, bytesRead } = await file.read(Buffer.alloc(size - from), 0, size - from, from);
  return buffer.toString('utf8', 0, bytesRead).trim();
}

/** Enough for the last line. */
const LAST_BYTES = 2048;

async function sizeOf(path: string): Promise<number> {
  try {
    await using file = await open(path);
    return (await file.stat()).size;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0;
    throw error;
  }
}
