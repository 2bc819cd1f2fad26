import { constants } from 'node:fs';
import { open, readdir, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, posix, sep } from 'node:path';
import { BuildError } from '../../contract/build-errors.ts';
import { pathInPackage } from '../../contract/package-paths.ts';
import type { SourceLimits } from './limits.ts';
import { formatBytes, quote } from '../../contract/words.ts';

export interface LocatedContext {
  /** Absolute path of the build context, free of links. */
  readonly contextDirectory: string;
  /** Absolute path of the Dockerfile; only its last part may be a link, to a file of the same folder or below. */
  readonly dockerfile: string;
  /** The Dockerfile's path below the package, for messages. */
  readonly shown: string;
  readonly text: string;
}

/**
 * Finds the context and the Dockerfile in a package (worker contract 0.3, "Build arguments"). Either may be reached through links,
 * but must lie inside the package; the Dockerfile may lie outside of the context. Throws a BuildError `dockerfileissue` that says what was
 * looked for, and what there is instead.
 */
export async function locateContext(
  root: string,
  build: { readonly context: string; readonly dockerfile_path: string },
  limits: SourceLimits,
): Promise<LocatedContext> {
  const top = await realpath(root);
  const context = inside('', build.context, 'context');
  const contextDirectory = await resolveInside(top, context, 'context');
  const stats = contextDirectory === null ? null : await stat(contextDirectory);
  if (contextDirectory === null || stats === null) {
    throw issue(`The context ${quote(context)} is not in the package. ${await listFolders(top)}`);
  }
  if (!stats.isDirectory()) throw issue(`The context ${quote(context)} is a file, not a folder.`);

  const wanted = build.dockerfile_path === '' ? 'Dockerfile' : build.dockerfile_path;
  const shown = inside(context, wanted, 'Dockerfile');
  const found = await resolveInside(top, shown, 'Dockerfile');
  if (found === null) {
    throw issue(`There is no ${quote(shown)} in the package. ${await listDockerfiles(top)}`);
  }
  const text = await readDockerfile(found, shown, limits);
  // The folder without links, but the file by the name that was asked for: `NAME.dockerignore` goes by it. Engines do not follow
  // one that leads to another folder.
  const folder = await realpath(dirname(join(top, shown)));
  const dockerfile = found.startsWith(folder + sep) ? join(folder, basename(shown)) : found;
  return { contextDirectory, dockerfile, shown, text };
}

/** A path below the package's root, from one that is relative to a folder in it. */
function inside(folder: string, path: string, what: string): string {
  if (path.includes('\0')) throw issue(`The path of the ${what} holds a NUL character.`);
  const relative = pathInPackage(folder, path);
  if (relative === null) throw issue(`The path of the ${what}, ${quote(path)}, leaves the package.`);
  return relative;
}

/** The real path of what lies at `path`, null when there is nothing. */
async function resolveInside(top: string, path: string, what: string): Promise<string | null> {
  let real: string;
  try {
    real = await realpath(join(top, path));
  } catch {
    return null;
  }
  if (real !== top && !real.startsWith(top + sep)) {
    throw issue(`The path of the ${what}, ${quote(path)}, leads out of the package by a link.`);
  }
  return real;
}

async function readDockerfile(path: string, shown: string, limits: SourceLimits): Promise<string> {
  // Non-blocking, so that a named pipe does not hold us.
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const { size, ...kind } = await file.stat().then((stats) => ({
      size: stats.size,
      folder: stats.isDirectory(),
      ordinary: stats.isFile(),
    }));
    if (kind.folder) throw issue(`${quote(shown)} is a folder. Name the Dockerfile in it.`);
    if (!kind.ordinary) throw issue(`${quote(shown)} is no ordinary file.`);
    if (size > limits.dockerfileBytes) {
      throw issue(`${quote(shown)} is larger than ${formatBytes(limits.dockerfileBytes)}.`);
    }
    const text = await file.readFile('utf8');
    if (text.trim() === '') throw issue(`${quote(shown)} is empty.`);
    return text;
  } finally {
    await file.close();
  }
}

/** How much of a package is looked through for what the user may have meant. */
const LOOKED_AT = 2000;
const LOOKED_DEEP = 3;
const SHOWN = 5;

async function listDockerfiles(top: string): Promise<string> {
  const names = await lookAround(top, (name, folder) => !folder && /docker-?file|containerfile/i.test(name));
  return names.length === 0
    ? 'Nothing in it looks like a Dockerfile.'
    : `It has ${names.map(quote).join(', ')}: name the one to build by its path below the context.`;
}

async function listFolders(top: string): Promise<string> {
  const names = await lookAround(top, (_name, folder) => folder);
  return names.length === 0 ? 'It has no folders.' : `It has the folders ${names.map(quote).join(', ')}.`;
}

/** The first few paths that match, nearest to the root first. */
async function lookAround(
  top: string,
  matches: (name: string, folder: boolean) => boolean,
): Promise<string[]> {
  const found: string[] = [];
  const folders = [''];
  let looked = 0;
  for (let at = 0; at < folders.length && looked < LOOKED_AT; at += 1) {
    const folder = folders[at] ?? '';
    const entries = await readdir(join(top, folder), { withFileTypes: true });
    for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
      looked += 1;
      if (looked > LOOKED_AT || entry.name === '.git') continue;
      const path = posix.join(folder, entry.name);
      if (matches(entry.name, entry.isDirectory())) found.push(path);
      if (entry.isDirectory() && path.split('/').length < LOOKED_DEEP) folders.push(path);
    }
    if (found.length >= SHOWN) break;
  }
  return found.slice(0, SHOWN);
}

function issue(message: string): BuildError {
  return new BuildError('dockerfileissue', message);
}
