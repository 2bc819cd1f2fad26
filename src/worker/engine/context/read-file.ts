import { closeSync, constants, fstatSync, openSync, read, type BigIntStats } from 'node:fs';
import { promisify } from 'node:util';
import { limits } from '../limits.ts';
import { ContextError, contextError, type ContextEntry } from './entries.ts';

const readAt = promisify(read);
// Without O_NONBLOCK a named pipe put in the file's place would hold us for ever.
const FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/**
 * Reads a file of the context in pieces, each a buffer of its own. What is read is the file that was listed, whole: one that
 * was exchanged, or changed before its last piece was read, throws a {@link ContextError}, since a part of it would go into the image unseen.
 * Only the reading itself is a thread's: the rest is there in microseconds, and a thread is ten times as long in being asked.
 */
export async function* readUnchanged(
  entry: ContextEntry,
  pieceBytes: number = limits.readBytes,
): AsyncGenerator<Buffer, void, void> {
  const size = Number(entry.stats.size);
  let file: number;
  try {
    file = openSync(entry.location, FLAGS);
  } catch (error) {
    throw contextError(error, entry.path);
  }
  try {
    if (size > pieceBytes) demandUnchanged(file, entry);
    for (let at = 0; at < size;) {
      const buffer = Buffer.allocUnsafeSlow(Math.min(pieceBytes, size - at));
      const { bytesRead } = await readAt(file, buffer, 0, buffer.length, at);
      at += bytesRead;
      if (bytesRead === 0 || at === size) demandUnchanged(file, entry);
      if (bytesRead === 0) throw changed(entry);
      yield bytesRead === buffer.length ? buffer : buffer.subarray(0, bytesRead);
    }
    if (size === 0) demandUnchanged(file, entry);
  } catch (error) {
    throw contextError(error, entry.path);
  } finally {
    closeSync(file);
  }
}

function demandUnchanged(file: number, entry: ContextEntry): void {
  const now = fstatSync(file, { bigint: true });
  const same = (name: 'dev' | 'ino' | 'size' | 'mtimeNs'): boolean => now[name] === entry.stats[name];
  if (!same('dev') || !same('ino') || !same('size') || !same('mtimeNs')) throw changed(entry);
}

function changed({ path }: { path: Buffer; stats: BigIntStats }): ContextError {
  return new ContextError(`${path.toString('utf8')} changed while the context was sent`);
}
