import { type FileHandle, open, rm } from 'node:fs/promises';
import { SPOOL_READ_BYTES } from '../limits.ts';

/** A file of lines, first in, first out: what of a log does not fit in memory while there is nobody to tell it to. */
export interface LogSpool {
  /** Whether it holds as much as it may, or its disk took no more. */
  readonly isFull: boolean;
  /** Adds a line, which must not contain the end of one. One that the disk does not take waits in memory behind the others. */
  push(line: string): Promise<void>;
  /** Takes out some of the first lines; none when there are none. Throws when they cannot be read: they are lost. */
  take(): Promise<string[]>;
  /** Removes the file. */
  close(): Promise<void>;
}

/** Makes a spool of so many bytes at most, and a line; its file is made when it is first needed. */
export function createLogSpool(path: string, maxBytes: number): LogSpool {
  let file: FileHandle | null = null;
  /** What is in the file begins here, and ends there. */
  let begin = 0;
  let end = 0;
  /** What the disk did not take. */
  let unwritten: string[] = [];
  let turn: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const done = turn.then(work);
    turn = done.catch(() => undefined);
    return done;
  };

  const write = async (line: string): Promise<void> => {
    // wx: a file that is there already would be somebody else's.
    file ??= await open(path, 'wx+', 0o600);
    const bytes = Buffer.from(`${line}\n`);
    for (let written = 0; written < bytes.length;) {
      written += (await file.write(bytes, written, bytes.length - written, end + written)).bytesWritten;
    }
    end += bytes.length;
  };

  /** Reads whole lines: so many bytes, or the first line if that is longer. */
  const read = async (handle: FileHandle): Promise<Buffer> => {
    for (let size = SPOOL_READ_BYTES; ; size *= 2) {
      const buffer = Buffer.alloc(Math.min(size, end - begin));
      for (let filled = 0; filled < buffer.length;) {
        const { bytesRead } = await handle.read(buffer, filled, buffer.length - filled, begin + filled);
        if (bytesRead === 0) throw new Error('the spool of the log is shorter than it was');
        filled += bytesRead;
      }
      const last = buffer.lastIndexOf('\n');
      if (last !== -1) return buffer.subarray(0, last + 1);
    }
  };

  const empty = async (): Promise<void> => {
    begin = end = 0;
    await file?.truncate(0);
  };

  return {
    get isFull() {
      return unwritten.length > 0 || end >= maxBytes;
    },
    push: (line) =>
      inTurn(async () => {
        if (unwritten.length > 0) unwritten.push(line);
        else await write(line).catch(() => unwritten.push(line));
      }),
    take: () =>
      inTurn(async () => {
        if (!file || begin === end) return unwritten.splice(0);
        try {
          const bytes = await read(file);
          begin += bytes.length;
          if (begin === end) await empty();
          return bytes.toString().slice(0, -1).split('\n');
        } catch (error) {
          await empty().catch(() => undefined);
          throw error;
        }
      }),
    close: () =>
      inTurn(async () => {
        await file?.close();
        file = null;
        begin = end = 0;
        unwritten = [];
        await rm(path, { force: true });
      }),
  };
}
