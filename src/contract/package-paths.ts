import { posix } from 'node:path';

/**
 * The path below the package's root, `.` being the root, of one that is relative to a folder in it. A leading slash means that folder
 * (worker contract 0.3, "Build arguments"). Null when it leaves the package.
 */
export function pathInPackage(folder: string, path: string): string | null {
  const relative = posix.normalize(posix.join(folder === '' ? '.' : folder, path.replace(/^\/+/, '')));
  if (relative === '..' || relative.startsWith('../')) return null;
  return relative.replace(/\/+$/, '');
}
