import { readFile, realpath, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { SERVER_LOCK_EMPTY_MS } from '../limits.ts';
import { SOCKET_NAME } from './home.ts';
import { isAlive, isUnburied, workingFolderOf } from './process-state.ts';

const PID_FILE = 'postmaster.pid';

/** The lines of postmaster.pid: process, data, start, port, socket folder, address, shared memory, status. */
export async function readPidFile(data: string): Promise<readonly string[]> {
  return linesOf(join(data, PID_FILE));
}

async function linesOf(file: string): Promise<readonly string[]> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return text.split('\n');
}

/** Whether this process is the server on these data, which works in their folder from before it takes its locks; null when that cannot be seen. */
export async function isServerOf(data: string, pid: number): Promise<boolean | null> {
  const folder = await workingFolderOf(pid);
  return folder === null ? null : folder === (await realpath(data));
}

/**
 * Removes locks that PostgreSQL takes for held, but that nobody holds: those of a process that nobody has buried, those that a
 * process was killed before it could write its id into, and those that survived a restart of the machine or of the container, whose ids name other
 * processes now. It is safe: that the other processes of a dead server have ended, too, PostgreSQL
 * sees from their shared memory.
 */
export async function removeDeadLocks(data: string, socketFolder: string): Promise<void> {
  for (const lock of [join(socketFolder, `${SOCKET_NAME}.lock`), join(data, PID_FILE)]) {
    if ((await isLeftEmpty(lock)) || (await isDeadHolder(Number((await linesOf(lock))[0]), data))) {
      await rm(lock, { force: true });
    }
  }
}

/** `false` also of a process that is not there: PostgreSQL sees that itself. */
async function isDeadHolder(pid: number, data: string): Promise<boolean> {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  return isUnburied(pid) || (isAlive(pid) && (await isServerOf(data, pid)) === false);
}

/** Whoever starts writes its id at once. */
async function isLeftEmpty(lock: string): Promise<boolean> {
  const found = await stat(lock).catch(() => null);
  return found?.size === 0 && Date.now() - found.mtimeMs > SERVER_LOCK_EMPTY_MS;
}
