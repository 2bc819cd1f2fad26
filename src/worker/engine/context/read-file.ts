import { constants, type BigIntStats } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { limits } from '../limits.ts';
import { ContextError, contextError, type ContextEntry } from './entries.ts';

/**
 * Reads a file of the context in pieces, each a buffer of its own. What is read is the file that was listed, whole: one that
 * was exchanged, or changed before its last piece was read, throws a {@link ContextError}, since a part of it would go into the image unseen.
 */
export async function* readUnchanged(
  entry: ContextEntry,
  pieceBytes: number = limits.readBytes,
): AsyncGenerator<Buffer, void, void> {
  const size = Number(entry.stats.size);
  let file: FileHandle;
  try {
    // Without O_NONBLOCK a named pipe put in the file's place would hold us for ever.
    file = await open(entry.location, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    throw contextError(error, entry.path);
  }
  try {
    if (size > pieceBytes) await demandUnchanged(file, entry);
    for (let at = 0; at < size;) {
      const buffer = Buffer.allocUnsafeSlow(Math.min(pieceBytes, size - at));
      const { bytesRead } = await file.read(buffer, 0, buffer.length, at);
      at += bytesRead;
      if (bytesRead === 0 || at === size) await demandUnchanged(file, entry);
      if (bytesRead === 0) throw changed(entry);
      yield bytesRead === buffer.length ? buffer : buffer.subarray(0, bytesRead);
    }
    if (size === 0) await demandUnchanged(file, entry);
  } catch (error) {
    throw contextError(error, entry.path);
  } finally {
    await file.close();
  }
}

async function demandUnchanged(file: FileHandle, entry: ContextEntry): Promise<void> {
  const now = await file.stat({ bigint: true });
  const same = (name: 'dev' | 'ino' | 'size' | 'mtimeNs'): boolean => now[name] === entry.stats[name];
  if (!same('dev') || !same('ino') || !same('size') || !same('mtimeNs')) throw changed(entry);
}

function changed({ path }: { path: Buffer; stats: BigIntStats }): ContextError {
  return new ContextError(`${path.toString('utf8')} changed while the context was sent`);
}
