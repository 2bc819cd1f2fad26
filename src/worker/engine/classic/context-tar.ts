import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { lstat, open, realpath } from 'node:fs/promises';
import { basename, dirname, join, posix, relative } from 'node:path';
import { isUtf8 } from 'node:buffer';
import { Readable } from 'node:stream';
import { pack, type Pack } from 'tar-stream';
import { ContextError, contextError, type ContextEntry } from '../context/entries.ts';
import { parseIgnoreFile, compilePatterns } from '../../../contract/ignore-patterns.ts';
import { tarTime } from '../../../contract/tar-time.ts';
import { readUnchanged } from '../context/read-file.ts';
import { walkContext } from '../context/walk.ts';
import { limits } from '../limits.ts';

const IGNORE_FILE = '.dockerignore';

export interface ContextTar {
  /** The archive, made while it is read. Errs with a ContextError when the context cannot be read. */
  readonly body: Readable;
  /** Where the Dockerfile lies in it. */
  readonly dockerfile: string;
}

/**
 * Packs a build context for the classic builder: what the ignore file leaves of it, owned by root, in the order of names. As with
 * BuildKit, `NAME.dockerignore` beside a Dockerfile NAME comes before the context's .dockerignore. A Dockerfile outside of the context, one
 * with an ignore file of its own and one that is a link go in under a name of their own, which the .dockerignore that is sent keeps away
 * from COPY. With `linksMayLeave` false, a symlink that leads out of the context is an error: Podman refuses it without a word.
 */
export async function packContext(
  contextDirectory: string,
  dockerfile: string,
  { linksMayLeave } = { linksMayLeave: true },
): Promise<ContextTar> {
  const ignore = await readIgnoreFile(contextDirectory, dockerfile);
  const patterns = parseIgnoreFile(ignore.text);
  const within = relative(contextDirectory, dockerfile);
  const isOutside = within === '..' || within.startsWith('../');
  const isApart = isOutside || ignore.isOwn || (await isLink(dockerfile));
  const exclude = keepBuildFiles(patterns, isApart ? [IGNORE_FILE] : [IGNORE_FILE, within]);
  const all = walkContext(contextDirectory, { include: [], exclude, follow: [] });
  const entries = linksMayLeave ? all : withinContext(all);
  if (!isApart) return { body: archive((tar) => addAll(tar, entries)), dockerfile: within };

  const name = `.dockerfile.${randomBytes(10).toString('hex')}`;
  const text = await readInFolder(dirname(dockerfile), basename(dockerfile));
  if (text === null) throw new ContextError('cannot read Dockerfile: it is not there (ENOENT)');
  // What the engine applies to COPY itself must not be more than what is left already.
  const sent = ignore.isOwn || ignore.text === '' ? IGNORE_FILE : ignore.text;
  const body = archive(async (tar) => {
    await addBuffer(tar, name, text);
    await addBuffer(tar, IGNORE_FILE, Buffer.from(`${sent}\n${name}\n`));
    await addAll(tar, without(entries, IGNORE_FILE));
  });
  return { body, dockerfile: name };
}

async function isLink(path: string): Promise<boolean> {
  // One that is not there is the engine's to tell of.
  return (await lstat(path).catch(absent))?.isSymbolicLink() ?? false;
}

/** The engine needs these files, and takes away itself what .dockerignore names. */
function keepBuildFiles(patterns: readonly string[], names: readonly string[]): string[] {
  const matcher = compilePatterns(patterns);
  return matcher.empty ? [] : [...patterns, ...names.map((name) => `!${escapePattern(name)}`)];
}

function escapePattern(name: string): string {
  return name.replace(/[*?[\\]/g, '\\$&');
}

interface IgnoreFile {
  readonly text: string;
  /** Whether it is the Dockerfile's own. */
  readonly isOwn: boolean;
}

async function readIgnoreFile(contextDirectory: string, dockerfile: string): Promise<IgnoreFile> {
  const own = await readInFolder(dirname(dockerfile), `${basename(dockerfile)}${IGNORE_FILE}`);
  if (own) return { text: own.toString('utf8'), isOwn: true };
  const text = await readInFolder(contextDirectory, IGNORE_FILE);
  return { text: text?.toString('utf8') ?? '', isOwn: false };
}

/** A small file of a folder, or null. One that leads out of the folder is refused: what it leads to is not the user's. */
async function readInFolder(folder: string, name: string): Promise<Buffer | null> {
  try {
    const root = await realpath(folder).catch((error: unknown) => {
      throw contextError(error, Buffer.alloc(0));
    });
    const path = await realpath(join(root, name)).catch(absent);
    if (path === null) return null;
    if (!path.startsWith(join(root, '/')))
      throw new ContextError(`${name} leads out of its folder by a link`);
    return await readSmallFile(path);
  } catch (error) {
    throw contextError(error, Buffer.from(name));
  }
}

function absent(error: unknown): null {
  if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
  throw error;
}

async function readSmallFile(path: string): Promise<Buffer> {
  await using file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  const stats = await file.stat();
  if (!stats.isFile()) throw new ContextError(`${basename(path)} is not a file`);
  if (stats.size > limits.buildFileBytes) {
    throw new ContextError(`${basename(path)} has more than ${limits.buildFileBytes} bytes`);
  }
  return await file.readFile();
}

/** The bytes of the archive that `fill` makes, at the reader's pace. */
function archive(fill: (tar: Pack) => Promise<void>): Readable {
  const tar = pack();
  // Its errors reach the reader through the iteration below; one after that is of no interest.
  tar.on('error', () => undefined);
  void fill(tar).then(
    () => tar.finalize(),
    (error: unknown) => tar.destroy(error instanceof Error ? error : new Error(String(error))),
  );
  return Readable.from(tar, { objectMode: false });
}

async function* withinContext(
  entries: AsyncIterable<ContextEntry>,
): AsyncGenerator<ContextEntry, void, void> {
  for await (const entry of entries) {
    const path = entry.path.toString('utf8');
    const target = entry.target.toString('utf8');
    if (entry.kind === 'symlink' && /^\.\.(?:\/|$)/.test(posix.join(posix.dirname(path), target))) {
      throw new ContextError(`${path} is a link that leads out of the context, which Podman does not take`);
    }
    yield entry;
  }
}

async function* without(
  entries: AsyncIterable<ContextEntry>,
  name: string,
): AsyncGenerator<ContextEntry, void, void> {
  for await (const entry of entries) if (entry.path.toString('utf8') !== name) yield entry;
}

async function addBuffer(tar: Pack, name: string, content: Buffer): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    tar.entry({ name, mode: 0o644, uid: 0, gid: 0, mtime: new Date(0) }, content, (error) =>
      error ? reject(error) : resolve(),
    );
  });
}

async function addAll(tar: Pack, entries: AsyncIterable<ContextEntry>): Promise<void> {
  for await (const entry of entries) await addEntry(tar, entry);
}

const TYPES = {
  directory: 'directory',
  file: 'file',
  symlink: 'symlink',
  hardlink: 'link',
  pipe: 'fifo',
} as const;

async function addEntry(tar: Pack, entry: ContextEntry): Promise<void> {
  const { kind, path, stats, target } = entry;
  for (const name of [path, target]) {
    if (!isUtf8(name)) {
      throw new ContextError(
        `the name ${JSON.stringify(name.toString('utf8'))} is not UTF-8, which the classic builder's context cannot hold`,
      );
    }
  }
  await new Promise<void>((resolve, reject) => {
    const sink = tar.entry(
      {
        name: path.toString('utf8'),
        type: TYPES[kind],
        // With the bits of its type, since tar-stream takes a mode of 0 for none; it writes only the permissions.
        mode: Number(stats.mode),
        size: kind === 'file' ? Number(stats.size) : 0,
        mtime: tarTime(Number(stats.mtimeMs)),
        uid: 0,
        gid: 0,
        ...(target.length === 0 ? {} : { linkname: target.toString('utf8') }),
      },
      (error) => (error ? reject(error) : resolve()),
    );
    if (kind !== 'file') sink.end(null);
    else write(sink, entry).catch(reject);
  });
}

async function write(sink: ReturnType<Pack['entry']>, entry: ContextEntry): Promise<void> {
  let goOn = (): void => undefined;
  sink.on('error', () => undefined);
  sink.on('drain', () => goOn());
  sink.on('close', () => goOn());
  for await (const piece of readUnchanged(entry)) {
    if (sink.write(piece)) continue;
    if (!sink.destroyed) await new Promise<void>((resolve) => (goOn = resolve));
    // The reader of the archive is gone.
    if (sink.destroyed) return;
  }
  sink.end(null);
}
