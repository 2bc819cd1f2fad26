import { createHash } from 'node:crypto';
import { lutimesSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { timeOfObject } from '../content-time.ts';

/** Set without a pause, in files: setting a time takes microseconds, and handing it to a thread ten times as long. */
const AT_ONCE = 500;

/**
 * Gives each file of a checkout a time that depends on its content alone, as git's own are those of the checkout: the engine then asks
 * for a file again when a commit has changed it. `idBytes` is the length of the repository's object ids.
 */
export async function setContentTimes(directory: string, idBytes: 20 | 32): Promise<void> {
  const entries = readIndex(await readFile(join(directory, '.git', 'index')), idBytes);
  // Attributes say how git writes a file's content (gitattributes(5)): with others, every file is another.
  const attributes = createHash('sha256');
  for (const { path, id } of entries)
    if (/(?:^|\/)\.gitattributes$/.test(path.toString())) attributes.update(id);
  const salt = attributes.digest();
  for (let from = 0; from < entries.length; from += AT_ONCE) {
    for (const { path, id } of entries.slice(from, from + AT_ONCE)) {
      const time = timeOfObject(createHash('sha256').update(salt).update(id).digest());
      lutimesSync(Buffer.concat([Buffer.from(`${directory}/`), path]), time, time);
    }
    await setImmediate();
  }
}

interface IndexEntry {
  readonly path: Buffer;
  readonly id: Buffer;
}

const HEADER_BYTES = 12;
/** What lies before an entry's id: its times, device, inode, mode, owner and size. */
const STAT_BYTES = 40;
const MODE_AT = 24;
const GITLINK = 0o160000;
const EXTENDED = 0x4000;
const ALIGNMENT = 8;

/** The files and links of an index as git writes it by itself (gitformat-index(5), versions 2 and 3); none of another version. */
function readIndex(index: Buffer, idBytes: number): IndexEntry[] {
  const version = index.readUInt32BE(4);
  if (index.toString('latin1', 0, 4) !== 'DIRC' || version < 2 || version > 3) return [];
  const entries: IndexEntry[] = [];
  let at = HEADER_BYTES;
  for (let left = index.readUInt32BE(8); left > 0; left -= 1) {
    const flagsAt = at + STAT_BYTES + idBytes;
    const pathAt = flagsAt + ((index.readUInt16BE(flagsAt) & EXTENDED) === 0 ? 2 : 4);
    const end = index.indexOf(0, pathAt);
    if (index.readUInt32BE(at + MODE_AT) !== GITLINK) {
      entries.push({ path: index.subarray(pathAt, end), id: index.subarray(at + STAT_BYTES, flagsAt) });
    }
    // One to eight zeros follow.
    at += Math.floor((end - at) / ALIGNMENT + 1) * ALIGNMENT;
  }
  return entries;
}
