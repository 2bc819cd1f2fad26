import { mkdir, open, rename, rm, type FileHandle } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { Readable } from 'node:stream';
import pino, { type Logger } from 'pino';
import {
  backUp,
  BackupUnusable,
  openBlobFolder,
  restore,
  StoreUnusable,
  type BlobStore,
} from '../../store/index.ts';
import { commandActor } from './actor.ts';
import type { ManagerSettings } from '../settings.ts';
import { exitCodes } from '../exit-codes.ts';

/** `quay-build-manager backup` and `restore`: everything that the manager keeps, as one file. */

type Place = Pick<ManagerSettings, 'DATA_DIR' | 'DATABASE_URL'>;

/**
 * Writes a backup to a file, which is there whole or not at all, or to stdout for `-`. Managers may be running. Answers with the
 * exit code.
 */
export async function backupCommand(file: string, settings: Place, version: string): Promise<number> {
  return tellProblems('backup', async () => {
    const place = await openPlace(settings);
    const progress = showProgress('backed up');
    const audited = { by: commandActor(), file: file === '-' ? file : resolve(file) };
    const options = { ...place, ...audited, version, onProgress: progress.onProgress };
    const { tables, blobs, missingBlobs } =
      file === '-'
        ? await backUp(process.stdout, options)
        : await writeWhole(file, async (draft) =>
            backUp((await openFile(draft, 'wx', 0o600)).createWriteStream(), options),
          );
    const missing = missingBlobs.length === 0 ? '' : `; ${missingBlobs.length} more were deleted meanwhile`;
    progress.end(`backed up ${tables} tables, and ${blobs} packages and logs${missing}`);
  });
}

/** Restores a backup from a file, or from stdin for `-`. Answers with the exit code. */
export async function restoreCommand(file: string, settings: Place): Promise<number> {
  return tellProblems('restore', async () => {
    const input = file === '-' ? process.stdin : await openBackup(file);
    const place = await openPlace(settings);
    const progress = showProgress('restored');
    const { tables, blobs, createdAt, version } = await restore(input, {
      ...place,
      by: commandActor(),
      file: file === '-' ? file : resolve(file),
      onProgress: progress.onProgress,
    });
    progress.end(
      `restored ${tables} tables, and ${blobs} packages and logs, as they were at ${createdAt} (version ${version}).\n` +
        'Start the manager with the key file of the old one: SECRET_KEY_FILE, or secret.key in DATA_DIR.',
    );
  });
}

/** Before anything is made in the place where it is restored. */
async function openBackup(file: string): Promise<Readable> {
  const opened = await openFile(file, 'r');
  if (!(await opened.stat()).isDirectory()) return opened.createReadStream();
  await opened.close();
  throw new BackupUnusable(`${file} is a folder: name the file that backup wrote, or - for stdin`);
}

/** @throws BackupUnusable where the one who named the file can do something about it. */
async function openFile(file: string, flags: 'r' | 'wx', mode?: number): Promise<FileHandle> {
  try {
    return await open(file, flags, mode);
  } catch (error) {
    const writes = flags === 'wx';
    switch (isSystemError(error) && error.code) {
      case 'ENOENT':
      case 'ENOTDIR':
        throw new BackupUnusable(
          writes
            ? `the folder ${dirname(file)} is not there: make it, or name a file elsewhere`
            : `${file} is not there: name a file that backup wrote, or - for stdin`,
          { cause: error },
        );
      case 'EACCES':
        throw new BackupUnusable(
          `this user may not ${writes ? `write in ${dirname(file)}` : `read ${file}`}: run it as another, or change its mode`,
          { cause: error },
        );
      default:
        throw error;
    }
  }
}

/** stdout is the backup's; what goes wrong is told by the error. */
const silent = pino({ level: 'silent' });

async function openPlace({ DATA_DIR, DATABASE_URL }: Place): Promise<{
  dataDirectory: string;
  databaseUrl: string | undefined;
  log: Logger;
  blobs: BlobStore;
}> {
  const dataDirectory = resolve(DATA_DIR);
  await mkdir(dataDirectory, { recursive: true, mode: 0o700 });
  const blobs = await openBlobFolder(join(dataDirectory, 'blobs'));
  return { dataDirectory, databaseUrl: DATABASE_URL ?? undefined, log: silent, blobs };
}

/** Nobody finds half a file under the name, and none that was there is lost. */
async function writeWhole<T>(file: string, write: (draft: string) => Promise<T>): Promise<T> {
  const existing = await open(file).catch(() => null);
  if (existing) {
    await existing.close();
    throw new BackupUnusable(`${file} exists already: name another file`);
  }
  const draft = `${file}.${process.pid}.part`;
  try {
    const result = await write(draft);
    const written = await open(draft);
    await written.sync();
    await written.close();
    await rename(draft, file);
    return result;
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
}

async function tellProblems(command: string, work: () => Promise<void>): Promise<number> {
  try {
    await work();
    return exitCodes.done;
  } catch (error) {
    if (!(error instanceof BackupUnusable || error instanceof StoreUnusable || isSystemError(error)))
      throw error;
    process.stderr.write(`quay-build-manager ${command} failed: ${wordsOf(error)}\n`);
    return exitCodes.cannotStart;
  }
}

function wordsOf(error: Error): string {
  return isSystemError(error) && error.code === 'EPIPE'
    ? 'who was to read it was gone before its end'
    : error.message;
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error;
}

const REDRAW_MS = 200;

/** On stderr, since a backup may go to stdout; one line that changes, on a terminal alone. */
function showProgress(done: string): {
  onProgress: (part: string, bytes: number) => void;
  end: (words: string) => void;
} {
  let drawn = 0;
  return {
    onProgress(part, bytes) {
      if (!process.stderr.isTTY || Date.now() - drawn < REDRAW_MS) return;
      drawn = Date.now();
      process.stderr.write(`\r\u001b[K${done} ${part}: ${(bytes / 1e6).toFixed(1)} MB`);
    },
    end(words) {
      process.stderr.write(`${process.stderr.isTTY ? '\r\u001b[K' : ''}${words}\n`);
    },
  };
}
