import { closeSync, constants, fchmodSync, futimesSync, openSync, writeSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { timeOfContent } from '../content-time.ts';

/** What an archive says of an entry. */
export interface EntryAttributes {
  /** Permission bits; those above 0o777 (setuid, setgid, sticky) are dropped. */
  readonly mode: number;
  /** Seconds since 1970, or null to keep the time of unpacking. A file's fraction of a second becomes its content's. */
  readonly mtime: number | null;
}

const PERMISSIONS = 0o777;
/** What we need of our own files to read them. */
const OWN_FILE = 0o400;
const CREATE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

/**
 * Writes a file that does not exist yet, as its content comes. Without handing each call to a thread: the system takes what is written
 * into its memory in microseconds, and a thread is ten times as long in being asked.
 */
export async function writeNewFile(
  path: string,
  { mode, mtime }: EntryAttributes,
  content: AsyncIterable<Uint8Array>,
): Promise<void> {
  const file = openSync(path, CREATE, 0o600);
  try {
    let checksum = 0;
    for await (const chunk of content) {
      checksum = crc32(chunk, checksum);
      for (let at = 0; at < chunk.length;) at += writeSync(file, chunk, at);
    }
    fchmodSync(file, (mode & PERMISSIONS) | OWN_FILE);
    // Archives are made with any times, also the same for every content.
    const time = mtime === null ? null : timeOfContent(mtime, checksum);
    if (time !== null) futimesSync(file, time, time);
  } finally {
    closeSync(file);
  }
}
