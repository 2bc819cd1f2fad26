import { gzipSync } from 'node:zlib';

/** Writes tars by hand, also such as no tool would write. */
export interface TarEntry {
  readonly name: string | Uint8Array;
  /** POSIX's typeflag: 0 file, 1 hard link, 2 symbolic link, 3 and 4 devices, 5 folder, 6 fifo, x PAX. */
  readonly type?: string;
  readonly content?: string | Uint8Array;
  readonly link?: string | Uint8Array;
  readonly mode?: number;
  /** Seconds since 1970. */
  readonly mtime?: number;
  /** What the header says, when it lies. */
  readonly size?: number;
}

const BLOCK = 512;

export function writeTar(entries: readonly TarEntry[], options: { readonly end?: boolean } = {}): Buffer {
  const end = (options.end ?? true) ? [Buffer.alloc(2 * BLOCK)] : [];
  return Buffer.concat([...entries.map(writeEntry), ...end]);
}

export function writeTarGz(entries: readonly TarEntry[]): Buffer {
  return gzipSync(writeTar(entries));
}

/** A PAX header for the entry that follows. */
export function paxEntry(records: Readonly<Record<string, string>>): TarEntry {
  const content = Object.entries(records).map(([key, value]) => {
    const text = ` ${key}=${value}\n`;
    let length = Buffer.byteLength(text) + 1;
    while (String(length).length + Buffer.byteLength(text) !== length) length += 1;
    return `${length}${text}`;
  });
  return { name: 'pax', type: 'x', content: content.join('') };
}

function writeEntry(entry: TarEntry): Buffer {
  const content = Buffer.from(entry.content ?? '');
  const header = Buffer.alloc(BLOCK);
  Buffer.from(entry.name).copy(header, 0, 0, 100);
  header.write(octal(entry.mode ?? 0o644, 7), 100);
  header.write(octal(0, 7), 108);
  header.write(octal(0, 7), 116);
  header.write(octal(entry.size ?? content.length, 11), 124);
  header.write(octal(entry.mtime ?? 1_700_000_000, 11), 136);
  header.write('        ', 148);
  header.write(entry.type ?? '0', 156);
  Buffer.from(entry.link ?? '').copy(header, 157, 0, 100);
  header.write('ustar\u000000', 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${octal(sum, 6)}\0 `, 148);
  return Buffer.concat([header, content, Buffer.alloc((BLOCK - (content.length % BLOCK)) % BLOCK)]);
}

function octal(value: number, digits: number): string {
  return value.toString(8).padStart(digits, '0');
}
