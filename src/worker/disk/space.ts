import { statfs } from 'node:fs/promises';

/** A file system, in bytes. */
export interface FileSystem {
  readonly totalBytes: number;
  readonly freeBytes: number;
}

/** Looks at the file system of a path; null when it cannot be seen from here. */
export async function fileSystemOf(path: string): Promise<FileSystem | null> {
  try {
    const { blocks, bavail, bsize } = await statfs(path);
    return { totalBytes: blocks * bsize, freeBytes: bavail * bsize };
  } catch {
    return null;
  }
}

/** The same for the engine's data: only an engine at a socket of this machine keeps it where the worker can look. */
export function engineFileSystem(dockerHost: string, dataRoot: string): Promise<FileSystem | null> {
  return dockerHost.startsWith('unix:') && dataRoot.startsWith('/')
    ? fileSystemOf(dataRoot)
    : Promise.resolve(null);
}

/** The system's words, in the C locale, Go's, git's, and Node's code for them. */
const NO_SPACE = /no space left on device|out of diskspace|disk quota exceeded|\bENOSPC\b|\bEDQUOT\b/i;

/** Whether these words say that a disk is full. */
export function saysNoSpace(text: string): boolean {
  return NO_SPACE.test(text);
}
