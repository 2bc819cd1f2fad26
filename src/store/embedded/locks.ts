import { readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { SERVER_LOCK_EMPTY_MS } from '../limits.ts';
import { SOCKET_NAME } from './home.ts';
import { isUnburied } from './process-state.ts';

const PID_FILE = 'postmaster.pid';

/** The lines of postmaster.pid: process, data, start, port, socket folder, address, shared memory, status. */
export async function readPidFile(data: string): Promise<readonly string[]> {
  const text = await readFile(join(data, PID_FILE), 'utf8').catch(() => '');
  return text.split('\n');
}

/**
 * Removes locks that PostgreSQL takes for held, but that nobody holds: those of a process that nobody has buried, and those that a
 * process was killed before it could write its id into. It is safe: that the other processes of a dead server have ended, too, PostgreSQL
 * sees from their shared memory.
 */
export async function removeDeadLocks(data: string, socketFolder: string): Promise<void> {
  const unburied = isUnburied(Number((await readPidFile(data))[0]));
  for (const lock of [join(socketFolder, `${SOCKET_NAME}.lock`), join(data, PID_FILE)]) {
    if (unburied || (await isLeftEmpty(lock))) await rm(lock, { force: true });
  }
}

/** Whoever starts writes its id at once. */
async function isLeftEmpty(lock: string): Promise<boolean> {
  const found = await stat(lock).catch(() => null);
  return found?.size === 0 && Date.now() - found.mtimeMs > SERVER_LOCK_EMPTY_MS;
}
