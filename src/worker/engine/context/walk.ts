import { lstatSync, type BigIntStats } from 'node:fs';
import { readdir, readlink } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import { limits } from '../limits.ts';
import { ContextError, contextError, type ContextEntry, type ContextSelection } from './entries.ts';
import { followPaths } from './followed-paths.ts';
import {
  compilePatterns,
  type PatternMatcher,
  type PatternState,
} from '../../../contract/ignore-patterns.ts';

const SLASH = Buffer.from('/');
const NOTHING = Buffer.alloc(0);

/** A directory on the way; its entry goes out when it is wanted itself, or before the first thing in it that is. */
interface Directory {
  readonly entry: ContextEntry | null;
  readonly parent: Directory | null;
  readonly depth: number;
  sent: boolean;
  readonly included: PatternState | null;
  readonly excluded: PatternState | null;
}

/**
 * Lists what is selected of a directory as BuildKit wants it: depth first, a directory before what is in it, siblings in
 * the order of their names' bytes. A further name of a file is a hardlink to the first. Sockets are left out, devices
 * refused. Throws a {@link ContextError}, or a PatternError for a selection that is none.
 */
export async function* walkContext(root: string, selection: ContextSelection): AsyncGenerator<ContextEntry> {
  const rootLocation = Buffer.from(root);
  const followed = selection.follow.length === 0 ? [] : await followPaths(root, selection.follow);
  // One that leads to the root wants everything.
  const include = followed === null ? [] : [...selection.include, ...followed];
  const included = compilePatterns(include);
  const excluded = compilePatterns(selection.exclude);
  const firstNames = new Map<string, Buffer>();

  async function* list(directory: Directory): AsyncGenerator<ContextEntry> {
    const base = directory.entry;
    if (directory.depth > limits.contextDepth) {
      throw new ContextError(`the context is more than ${limits.contextDepth} directories deep`);
    }
    const names = await readdir(base?.location ?? rootLocation, { encoding: 'buffer' }).catch(
      (error: unknown) => {
        throw contextError(error, base?.path ?? NOTHING);
      },
    );
    names.sort((one, other) => Buffer.compare(one, other));
    for (let at = 0; at < names.length; at += limits.statsAtOnce) {
      if (at > 0) await setImmediate();
      for (const name of names.slice(at, at + limits.statsAtOnce)) {
        const { path, location, stats } = look(rootLocation, base, name);
        const text = path.toString('utf8');
        const is = select(text, stats.isDirectory(), directory, included, excluded);
        if (!is.wanted && !is.entered) continue;
        const entry = await describe(path, location, stats, firstNames);
        if (entry === null) continue;
        if (is.wanted) {
          yield* announce(directory);
          yield entry;
        }
        if (is.entered) {
          yield* list({
            entry,
            parent: directory,
            depth: directory.depth + 1,
            sent: is.wanted,
            included: is.included,
            excluded: is.excluded,
          });
        }
      }
    }
  }
  yield* list({ entry: null, parent: null, depth: 0, sent: true, included: null, excluded: null });
}

interface Selected {
  readonly wanted: boolean;
  /** Whether what is in it is looked at. */
  readonly entered: boolean;
  readonly included: PatternState | null;
  readonly excluded: PatternState | null;
}

function select(
  path: string,
  isDirectory: boolean,
  parent: Directory,
  include: PatternMatcher,
  exclude: PatternMatcher,
): Selected {
  const included = include.empty ? null : include.match(path, parent.included);
  const excluded = exclude.empty ? null : exclude.match(path, parent.excluded);
  const wanted = included?.matched !== false && excluded?.matched !== true;
  const entered =
    isDirectory &&
    (included?.matched !== false || include.mayMatchBelow(path, false)) &&
    (excluded?.matched !== true || exclude.mayMatchBelow(path, true));
  return { wanted, entered, included, excluded };
}

function* announce(directory: Directory): Generator<ContextEntry> {
  if (directory.sent || directory.entry === null) return;
  if (directory.parent) yield* announce(directory.parent);
  directory.sent = true;
  yield directory.entry;
}

/** Without a thread: a file's stats are there in microseconds, and a thread is ten times as long in being asked. */
function look(
  root: Buffer,
  base: ContextEntry | null,
  name: Buffer,
): { path: Buffer; location: Buffer; stats: BigIntStats } {
  const path = base ? Buffer.concat([base.path, SLASH, name]) : name;
  const location = Buffer.concat([root, SLASH, path]);
  try {
    return { path, location, stats: lstatSync(location, { bigint: true }) };
  } catch (error) {
    throw contextError(error, path);
  }
}

/** The entry of a thing, or null for one that no image can hold. Remembers the first name of a file that has several. */
async function describe(
  path: Buffer,
  location: Buffer,
  stats: BigIntStats,
  firstNames: Map<string, Buffer>,
): Promise<ContextEntry | null> {
  if (stats.isDirectory()) return { kind: 'directory', path, location, stats, target: NOTHING };
  if (stats.isSocket()) return null;
  if (stats.isSymbolicLink()) {
    const target = await readlink(location, { encoding: 'buffer' }).catch((error: unknown) => {
      throw contextError(error, path);
    });
    return { kind: 'symlink', path, location, stats, target };
  }
  if (!stats.isFile() && !stats.isFIFO()) {
    throw new ContextError(`${path.toString('utf8')} is a device, which a build context cannot hold`);
  }
  if (stats.nlink > 1n) {
    const identity = `${stats.dev}:${stats.ino}`;
    const first = firstNames.get(identity);
    if (first) return { kind: 'hardlink', path, location, stats, target: first };
    firstNames.set(identity, path);
  }
  return { kind: stats.isFile() ? 'file' : 'pipe', path, location, stats, target: NOTHING };
}
