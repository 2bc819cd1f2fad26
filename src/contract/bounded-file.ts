import { createReadStream, closeSync, openSync, readSync } from 'node:fs';

/** Reading small files whole that somebody else named: a device or a wrong name would else be read for ever. */

/** A file has more bytes than were wanted. The message is what is wrong with it. */
export class FileTooLarge extends Error {
  override readonly name = 'FileTooLarge';

  constructor(maxBytes: number) {
    super(`it has more than ${maxBytes} bytes`);
  }
}

/**
 * Reads a file whole, also a pipe's, of at most `maxBytes` bytes.
 *
 * @throws FileTooLarge, and what the system says of a file that cannot be read.
 */
export async function readBounded(path: string, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > maxBytes) throw new FileTooLarge(maxBytes);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** The same at once, for what a program reads as it starts. */
export function readBoundedSync(path: string, maxBytes: number): Buffer {
  const bytes = Buffer.alloc(maxBytes + 1);
  const file = openSync(path, 'r');
  try {
    for (let length = 0; ;) {
      const count = readSync(file, bytes, length, bytes.length - length, null);
      length += count;
      if (length > maxBytes) throw new FileTooLarge(maxBytes);
      // Not a view: what is kept is no larger than the file.
      if (count === 0) return Buffer.from(bytes.subarray(0, length));
    }
  } finally {
    closeSync(file);
  }
}
