import { constants } from 'node:fs';

/** Go's `fs.FileMode`, in which BuildKit speaks of files: the permissions are POSIX's, everything above them is not. */

const DIRECTORY = 2 ** 31;
const SYMLINK = 2 ** 27;
const NAMED_PIPE = 2 ** 25;
const SET_USER_ID = 2 ** 23;
const SET_GROUP_ID = 2 ** 22;
const STICKY = 2 ** 20;

/** The Go mode of a file, directory, symlink or named pipe with this POSIX mode. */
export function goFileMode(posix: number): number {
  let mode = posix & 0o777;
  const type = posix & constants.S_IFMT;
  if (type === constants.S_IFDIR) mode += DIRECTORY;
  if (type === constants.S_IFLNK) mode += SYMLINK;
  if (type === constants.S_IFIFO) mode += NAMED_PIPE;
  if (posix & 0o4000) mode += SET_USER_ID;
  if (posix & 0o2000) mode += SET_GROUP_ID;
  if (posix & 0o1000) mode += STICKY;
  return mode;
}
