import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { timeOfContent } from '../content-time.ts';

/** What an archive says of an entry. */
export interface EntryAttributes {
  /** Permission bits; those above 0o777 (setuid, setgid, sticky) are dropped. */
  readonly mode: number;
  /** Seconds since 1970, or null to keep the time of unpacking. A file's fraction of a second becomes its content's. */
  readonly mtime: number | null;
}

/**
 * Writes files that do not exist yet. Small ones are written side by side, each call returning once its content was read, because a
 * file costs more in waiting for its open, its times and its close than in bytes.
 */
export interface FileWriter {
  write(path: string, attributes: EntryAttributes, content: AsyncIterable<Uint8Array>): Promise<void>;
  /** Resolves when all files are written; throws what the first failed with. */
  settle(): Promise<void>;
  /** Resolves when nothing is being written any more, whatever came of it. */
  idle(): Promise<void>;
}

const PERMISSIONS = 0o777;
/** What we need of our own files to read them. */
const OWN_FILE = 0o400;
const CREATE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
/** A larger file is written as it is read. In bytes. */
const SMALL = 256 * 1024;
/** Files that are written at once. */
const SIDE_BY_SIDE = 8;

export function createFileWriter(): FileWriter {
  const pending = new Set<Promise<void>>();
  let failure: { readonly error: unknown } | null = null;

  const idle = async (): Promise<void> => {
    await Promise.all(pending);
  };

  return {
    async write(path, attributes, content) {
      const { chunks, rest } = await readSmall(content);
      const written = writeFile(path, attributes, withRest(chunks, rest)).catch((error: unknown) => {
        failure ??= { error };
      });
      pending.add(written);
      void written.then(() => pending.delete(written));
      if (rest) await written;
      else if (pending.size >= SIDE_BY_SIDE) await Promise.race(pending);
      if (failure) throw failure.error;
    },
    settle: async () => {
      await idle();
      if (failure) throw failure.error;
    },
    idle,
  };
}

async function writeFile(
  path: string,
  { mode, mtime }: EntryAttributes,
  content: AsyncIterable<Uint8Array>,
): Promise<void> {
  const file = await open(path, CREATE, 0o600);
  let checksum = 0;
  const summed = async function* (): AsyncGenerator<Uint8Array> {
    for await (const chunk of content) {
      checksum = crc32(chunk, checksum);
      yield chunk;
    }
  };
  try {
    await file.writeFile(summed());
    await file.chmod((mode & PERMISSIONS) | OWN_FILE);
    // Archives are made with any times, also the same for every content.
    const time = mtime === null ? null : timeOfContent(mtime, checksum);
    if (time !== null) await file.utimes(time, time);
  } finally {
    await file.close();
  }
}

/** Reads a content to its end when it is small; else `rest` is what follows the chunks that were read. */
async function readSmall(
  content: AsyncIterable<Uint8Array>,
): Promise<{ chunks: Uint8Array[]; rest: AsyncIterator<Uint8Array> | null }> {
  const iterator = content[Symbol.asyncIterator]();
  const chunks: Uint8Array[] = [];
  for (let size = 0; size <= SMALL;) {
    const next = await iterator.next();
    if (next.done === true) return { chunks, rest: null };
    chunks.push(next.value);
    size += next.value.length;
  }
  return { chunks, rest: iterator };
}

async function* withRest(
  chunks: readonly Uint8Array[],
  rest: AsyncIterator<Uint8Array> | null,
): AsyncGenerator<Uint8Array> {
  yield* chunks;
  if (rest) yield* { [Symbol.asyncIterator]: () => rest };
}
