import { lstat, readdir, readlink } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { limits } from '../limits.ts';
import { contextError } from './entries.ts';
import { compilePatterns } from '../../../contract/ignore-patterns.ts';

const WILDCARD = /[*?[\\]/;

/**
 * The patterns that select these paths, every symlink on their way, and what the symlinks lead to, taking a target for
 * one within `root` as a container would. Null when a path leads to the root itself, so that all is wanted. What is not
 * there, or lies behind too many symlinks, is selected in vain.
 */
export async function followPaths(root: string, paths: readonly string[]): Promise<string[] | null> {
  const selected = new Set<string>();
  const begun = new Set<string>();

  const follow = async (path: string, links: number): Promise<void> => {
    const clean = posix.normalize(`/${path}`);
    if (links > limits.followedLinks || begun.has(clean)) return;
    begun.add(clean);
    const names = clean.split('/').filter(Boolean);
    if (names.length === 0) selected.add('');
    for (const [index, name] of names.entries()) {
      const here = names.slice(0, index + 1).join('/');
      const rest = names.slice(index + 1);
      const targets = await linksAt(root, here);
      if (targets.length > 0 || rest.length === 0) selected.add(here);
      for (const target of targets) await follow(posix.join(target, ...rest), links + 1);
      // A name with wildcards may stand for directories as well as for symlinks.
      if (targets.length > 0 && !WILDCARD.test(name)) return;
    }
  };
  for (const path of paths) await follow(path, 0);
  return selected.has('') ? null : [...selected];
}

/** Where the symlinks lead that `path` names, its last name perhaps by wildcards: paths within `root`. */
async function linksAt(root: string, path: string): Promise<string[]> {
  const directory = posix.dirname(path);
  const targets: string[] = [];
  for (const name of await matchingNames(root, directory, posix.basename(path))) {
    const link = posix.join(directory, name);
    const target = await linkTarget(root, link);
    if (target !== null) targets.push(posix.resolve('/', directory, target));
  }
  return targets;
}

async function matchingNames(root: string, directory: string, name: string): Promise<string[]> {
  if (!WILDCARD.test(name)) return [name];
  const pattern = compilePatterns([name]);
  try {
    return (await readdir(join(root, directory))).filter((each) => pattern.match(each, null).matched);
  } catch {
    // Not there, or no directory: nothing matches.
    return [];
  }
}

async function linkTarget(root: string, path: string): Promise<string | null> {
  try {
    return (await lstat(join(root, path))).isSymbolicLink() ? await readlink(join(root, path)) : null;
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')) {
      return null;
    }
    throw contextError(error, Buffer.from(path));
  }
}
