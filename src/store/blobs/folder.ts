import { createHash, randomUUID } from 'node:crypto';
import { mkdir, open, opendir, readdir, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { BlobTooLarge } from '../errors.ts';
import type { BlobStore } from '../ports/blobs.ts';

/** The only names that ever become part of a path: UUIDs, as we make them. */
const ID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/**
 * Blobs as files of a folder, which several managers may share. A blob is written in `incoming`, made durable, and only then renamed
 * into `blobs`: what is there is whole, whatever died.
 */
export async function openBlobFolder(folder: string, now: () => Date = () => new Date()): Promise<BlobStore> {
  const blobs = join(folder, 'blobs');
  const incoming = join(folder, 'incoming');
  for (const each of [blobs, incoming]) await mkdir(each, { recursive: true, mode: 0o700 });
  await syncFolder(folder);

  return {
    async put(content, { maxBytes, id = randomUUID() }) {
      if (!ID.test(id)) throw new TypeError(`${JSON.stringify(id)} is no id of a blob.`);
      const unfinished = join(incoming, id);
      try {
        const file = await open(unfinished, 'wx', 0o600);
        await using _closed = file;
        const written = await write(content, file, maxBytes);
        await file.sync();
        await rename(unfinished, join(blobs, id));
        await syncFolder(blobs);
        return { id, ...written };
      } catch (error) {
        content.destroy();
        await rm(unfinished, { force: true });
        throw error;
      }
    },

    async open(id) {
      if (!ID.test(id)) return null;
      try {
        const file = await open(join(blobs, id));
        const { size } = await file.stat();
        // Who was told the size may leave with the last byte: the stream ends there too, without looking for more.
        return { content: file.createReadStream(size === 0 ? {} : { end: size - 1 }), size };
      } catch (error) {
        if (isMissing(error)) return null;
        throw error;
      }
    },

    async read(id, { start, length }) {
      if (!ID.test(id)) return null;
      try {
        await using file = await open(join(blobs, id));
        const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, start);
        return buffer.subarray(0, bytesRead);
      } catch (error) {
        if (isMissing(error)) return null;
        throw error;
      }
    },

    async *list(olderThanSeconds) {
      const before = now().getTime() - olderThanSeconds * 1000;
      for await (const { name } of await opendir(blobs)) {
        if (ID.test(name) && (await modifiedAt(join(blobs, name))) < before) yield name;
      }
    },

    async delete(id) {
      if (!ID.test(id)) return;
      await rm(join(blobs, id), { force: true });
    },

    async sweep(olderThanSeconds) {
      const before = now().getTime() - olderThanSeconds * 1000;
      let swept = 0;
      for (const name of await readdir(incoming)) {
        const file = join(incoming, name);
        if ((await modifiedAt(file)) >= before) continue;
        await rm(file, { force: true });
        swept += 1;
      }
      return swept;
    },
  };
}

async function write(
  content: Readable,
  file: FileHandle,
  maxBytes: number,
): Promise<{ readonly size: number; readonly sha256: string }> {
  const hash = createHash('sha256');
  let size = 0;
  for await (const chunk of content as AsyncIterable<Buffer | string>) {
    const bytes = Buffer.from(chunk);
    size += bytes.length;
    if (size > maxBytes) throw new BlobTooLarge(maxBytes);
    hash.update(bytes);
    await file.appendFile(bytes);
  }
  return { size, sha256: hash.digest('hex') };
}

/** In milliseconds since 1970; never, of what was finished or deleted by another manager meanwhile. */
async function modifiedAt(path: string): Promise<number> {
  return stat(path).then(
    ({ mtimeMs }) => mtimeMs,
    () => Infinity,
  );
}

/** Makes the names in a folder durable, as `sync` of a file does its bytes. */
async function syncFolder(folder: string): Promise<void> {
  await using handle = await open(folder);
  await handle.sync();
}

function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT';
}
