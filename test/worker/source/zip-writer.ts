import { crc32, deflateRawSync } from 'node:zlib';

/** Writes zips by hand, also such as no tool would write. */
export interface ZipEntry {
  readonly name: string | Uint8Array;
  readonly content?: string | Uint8Array;
  /** Unix mode with its kind, as in 0o100755; 0 writes the entry as MS-DOS would. */
  readonly mode?: number;
  /** Bits of the general purpose flag; 0x800 says that the name is UTF-8. */
  readonly flags?: number;
  readonly method?: number;
  /** What the headers say of the unpacked size, when they lie. */
  readonly size?: number;
  /** Local time as MS-DOS keeps it: day, month and year, then seconds, minutes and hours. */
  readonly date?: number;
  readonly time?: number;
}

const UNIX = 3;
const UTF8 = 0x800;

export function writeZip(entries: readonly ZipEntry[]): Buffer {
  const locals: Buffer[] = [];
  const central: Buffer[] = [];
  let offset = 0;
  for (const entry of entries) {
    const name = Buffer.from(entry.name);
    const content = Buffer.from(entry.content ?? '');
    const packed = deflateRawSync(content);
    const mode = entry.mode ?? 0o100644;
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(entry.flags ?? UTF8, 2);
    common.writeUInt16LE(entry.method ?? 8, 4);
    common.writeUInt16LE(entry.time ?? 0, 6);
    common.writeUInt16LE(entry.date ?? 0x21, 8);
    common.writeUInt32LE(crc32(content), 10);
    common.writeUInt32LE(packed.length, 14);
    common.writeUInt32LE(entry.size ?? content.length, 18);
    common.writeUInt16LE(name.length, 22);

    const local = Buffer.concat([Buffer.from('PK\u0003\u0004'), common, name, packed]);
    locals.push(local);
    const rest = Buffer.alloc(14);
    rest.writeUInt32LE((mode << 16) >>> 0, 6);
    rest.writeUInt32LE(offset, 10);
    const madeBy = Buffer.from([20, mode === 0 ? 0 : UNIX]);
    central.push(Buffer.concat([Buffer.from('PK\u0001\u0002'), madeBy, common, rest, name]));
    offset += local.length;
  }
  const directory = Buffer.concat(central);
  const end = Buffer.alloc(22);
  end.write('PK\u0005\u0006');
  end.writeUInt16LE(entries.length, 8);
  end.writeUInt16LE(entries.length, 10);
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...locals, directory, end]);
}
