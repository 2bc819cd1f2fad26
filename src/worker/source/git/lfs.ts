import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';

/** Of a file of attributes, in bytes: what lies behind is not looked at. */
const LOOKED_AT = 65_536;
const KEPT_IN_LFS = /^[^#\n]*\sfilter=lfs(?:\s|$)/m;

/** Whether the attributes in the root of a work tree say that files are kept in Git LFS: what is checked out of them points to their content. */
export async function usesLfs(directory: string): Promise<boolean> {
  const path = join(directory, '.gitattributes');
  // A link of the repository's may lead anywhere, and a pipe hold us.
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const file = await open(path, flags).catch(() => null);
  if (file === null) return false;
  try {
    const buffer = Buffer.alloc(LOOKED_AT);
    const { bytesRead } = await file.read(buffer, 0, LOOKED_AT, 0);
    return KEPT_IN_LFS.test(buffer.toString('utf8', 0, bytesRead));
  } catch {
    // A folder of that name.
    return false;
  } finally {
    await file.close();
  }
}
