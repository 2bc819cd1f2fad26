import { isUtf8 } from 'node:buffer';
import { constants, createWriteStream } from 'node:fs';
import { lstat, open, readdir, readlink } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { pack, type Header, type Pack } from 'tar-stream';
import type { PatternState } from '../../contract/ignore-patterns.ts';
import { tarTime } from '../../contract/tar-time.ts';
import { CliError, exitCodes } from '../failure.ts';
import { GZIP_LEVEL } from '../limits.ts';
import { readIgnoreRules, type IgnoreRules } from './dockerignore.ts';

/** What of a folder is packed, and how. */
export interface PackRequest {
  readonly folder: string;
  /** The build context within the folder; its .dockerignore counts. */
  readonly context: string;
  /** Relative to the context. */
  readonly dockerfile: string;
  /** Hears of the bytes that were read so far. */
  readonly onProgress: (bytes: number) => void;
  readonly signal: AbortSignal;
}

/**
 * Packs a folder into a tar.gz file, honouring .dockerignore. The same folder gives the same bytes: entries are in order, and owners
 * are left out. Times are kept, because workers tell by them which files changed.
 *
 * @throws CliError for a socket, a device or a pipe, for a name that is not UTF-8, and for what cannot be read.
 */
export async function packFolder(request: PackRequest, target: string): Promise<void> {
  const normal = posix.normalize(request.context).replace(/^\/+|\/+$/g, '');
  const context = normal === '.' ? '' : normal;
  const rules = await readIgnoreRules(join(request.folder, context), request.dockerfile);
  const tar = pack();
  const written = pipeline(
    tar,
    createGzip({ level: GZIP_LEVEL }),
    createWriteStream(target, { mode: 0o600 }),
    {
      signal: request.signal,
    },
  );
  try {
    await addFolder(tar, request, context, rules);
    tar.finalize();
  } catch (error) {
    tar.destroy(error instanceof Error ? error : new Error(String(error)));
    await written.catch(() => undefined);
    throw error;
  }
  await written;
}

async function addFolder(
  tar: Pack,
  request: PackRequest,
  context: string,
  rules: IgnoreRules,
): Promise<void> {
  let bytes = 0;
  const visit = async (below: string, folderState: PatternState | null): Promise<void> => {
    for (const name of await namesIn(join(request.folder, below))) {
      request.signal.throwIfAborted();
      const entry = below === '' ? name : `${below}/${name}`;
      const absolute = join(request.folder, entry);
      const stats = await lstat(absolute);
      const inContext = relativeTo(context, entry);
      const look = inContext === null ? null : rules.look(inContext, folderState);
      const ignored = look?.ignored === true;
      const header = {
        name: entry,
        mode: stats.mode & 0o7777,
        mtime: tarTime(stats.mtimeMs),
        uid: 0,
        gid: 0,
      };
      if (stats.isDirectory()) {
        if (!ignored) await addEntry(tar, { ...header, type: 'directory' });
        if (!ignored || rules.mayKeepBelow(inContext ?? '')) await visit(entry, look?.state ?? null);
      } else if (ignored) continue;
      else if (stats.isSymbolicLink()) {
        await addEntry(tar, { ...header, type: 'symlink', linkname: await readlink(absolute) });
      } else if (stats.isFile()) {
        bytes += await addFile(tar, header, absolute);
        request.onProgress(bytes);
      } else {
        throw new CliError(
          exitCodes.usage,
          `${absolute} is a socket, a pipe or a device, which cannot be sent.`,
          'Remove it, or name it in .dockerignore.',
        );
      }
    }
  };
  await visit('', null);
}

/** The path within the context, or null for one outside of it. */
function relativeTo(context: string, entry: string): string | null {
  if (context === '') return entry;
  return entry.startsWith(`${context}/`) ? entry.slice(context.length + 1) : null;
}

/** Names in order of their bytes, which is the same on every machine. */
async function namesIn(folder: string): Promise<string[]> {
  const names = await readdir(folder, { encoding: 'buffer' });
  return names
    .sort((a, b) => Buffer.compare(a, b))
    .map((name) => {
      if (isUtf8(name)) return name.toString('utf8');
      throw new CliError(
        exitCodes.usage,
        `A name in ${folder} is not UTF-8: ${name.toString('latin1')}`,
        'Rename the file.',
      );
    });
}

type EntryHeader = Partial<Header> & Pick<Header, 'name'>;

async function addFile(tar: Pack, header: EntryHeader, path: string): Promise<number> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    const { size } = await file.stat();
    const entry = tar.entry({ ...header, type: 'file', size });
    // One byte more than it had tells that it grew.
    const content = file.createReadStream({ autoClose: false, start: 0, end: size });
    if (size > 0) await pipeline(content, entry);
    else entry.end(Buffer.alloc(0));
    return size;
  } catch (error) {
    if (!(error instanceof Error) || !/size mismatch/i.test(error.message)) throw error;
    throw new CliError(exitCodes.usage, `${path} changed while it was read.`, 'Try again.', { cause: error });
  } finally {
    await file.close();
  }
}

function addEntry(tar: Pack, header: EntryHeader): Promise<void> {
  return new Promise((resolve, reject) => {
    tar.entry({ ...header, size: 0 }, (error) => {
      if (error) reject(error);
      else resolve();
    });
  });
}
