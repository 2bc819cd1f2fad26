import type { BigIntStats } from 'node:fs';

/** One thing in a build context, in the order in which it is sent. */
export interface ContextEntry {
  readonly kind: 'directory' | 'file' | 'symlink' | 'hardlink' | 'pipe';
  /** The path below the context's root: clean, `/` between names, bytes as the file system has them. */
  readonly path: Buffer;
  /** Where it lies on this machine; never shown. */
  readonly location: Buffer;
  readonly stats: BigIntStats;
  /** Of a symlink its target, of a hardlink the path of the entry that it is another name of; else empty. */
  readonly target: Buffer;
}

/** Which part of a directory is wanted, in the patterns of .dockerignore. */
export interface ContextSelection {
  /** When not empty, only what these match. */
  readonly include: readonly string[];
  /** And nothing that these match. */
  readonly exclude: readonly string[];
  /** When not empty, also these paths, and what their symlinks lead to; with `include` empty, only these. */
  readonly follow: readonly string[];
}

/** The context cannot be sent; the message names paths below its root only. */
export class ContextError extends Error {
  override readonly name = 'ContextError';
}

/** Puts an error of the file system in words that do not tell where the context lies on this machine. */
export function contextError(error: unknown, path: Buffer): ContextError {
  if (error instanceof ContextError) return error;
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
  const name = path.length === 0 ? 'the context' : path.toString('utf8');
  return new ContextError(`cannot read ${name}: ${WORDS.get(code) ?? code}`, { cause: error });
}

const WORDS: ReadonlyMap<string, string> = new Map([
  ['ENOENT', 'it is not there (ENOENT)'],
  ['ENOTDIR', 'it is not a directory (ENOTDIR)'],
  ['EACCES', 'the worker may not read it (EACCES)'],
  ['ELOOP', 'it became a symlink while the context was sent (ELOOP)'],
]);
