import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, readFile, readlink, realpath, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { StoreUnusable } from '../errors.ts';
import { SERVER_LOG_BYTES, SERVER_START_TIMEOUT_MS } from '../limits.ts';
import { prepareSocketFolder, runAs, type Home } from './home.ts';
import { readPidFile, removeDeadLocks } from './locks.ts';
import { isAlive } from './process-state.ts';

/** How often a file or a process that tells nothing of itself is looked at. */
const LOOK_MS = 10;
const WATCH_MS = 250;

/** A server that runs and takes connections: a process of ours, or one that was there. */
export interface Postmaster {
  readonly pid: number;
  /** The folder of its socket. */
  readonly socketFolder: string;
  /** Resolves when it has ended, whatever the reason. */
  readonly ended: Promise<void>;
}

/** Why a server that was just started ended again. */
class StartFailed extends Error {
  /** Whether another server on the same data was the reason. */
  readonly occupied: boolean;

  constructor(said: string) {
    super(said);
    this.occupied =
      /lock file .* (?:already exists|is empty)|shared memory block .* still in use|is already in use/.test(
        said,
      );
  }
}

/**
 * Attaches to the server that runs on this data, or starts it. A server that is dying, or that another manager is starting, is waited
 * for.
 */
export async function startPostmaster(home: Home, signal: AbortSignal): Promise<Postmaster> {
  const timeout = AbortSignal.any([signal, AbortSignal.timeout(SERVER_START_TIMEOUT_MS)]);
  for (;;) {
    timeout.throwIfAborted();
    const running = await findRunning(home);
    if (running) return await attach(home, running, timeout);
    try {
      return await spawnPostmaster(home, timeout);
    } catch (error) {
      if (!(error instanceof StartFailed)) throw error;
      if (!error.occupied) {
        throw new StoreUnusable(`PostgreSQL did not start on ${home.data}: ${error.message}`, {
          cause: error,
        });
      }
      await wait(WATCH_MS, undefined, { signal: timeout });
    }
  }
}

async function attach(home: Home, pid: number, signal: AbortSignal): Promise<Postmaster> {
  const ended = watch(pid);
  const socketFolder = await ready(home, pid, () => isAlive(pid), signal);
  if (socketFolder === null) return startPostmaster(home, signal);
  return { pid, socketFolder, ended };
}

async function spawnPostmaster(home: Home, signal: AbortSignal): Promise<Postmaster> {
  const socketFolder = await prepareSocketFolder(home);
  await removeDeadLocks(home.data, socketFolder);
  const logOffset = await shortenLog(home.log);
  const log = await open(home.log, 'a', 0o600);
  const [command = '', ...args] = [
    ...home.prefix,
    join(home.programs.bin, 'postgres'),
    ...['-D', home.data, '-k', `"${socketFolder.replaceAll('"', '""')}"`],
    ...settings.flatMap((setting) => ['-c', setting]),
  ];
  // In a session of its own: it outlives a manager that is killed, and no Ctrl-C of a terminal reaches it.
  const child = spawn(command, args, {
    cwd: home.folder,
    env: {},
    stdio: ['ignore', 'ignore', log.fd],
    detached: true,
    ...runAs(home.account, home.prefix),
  });
  let exited = false;
  const ended = new Promise<void>((resolve, reject) => {
    child.once('exit', () => resolve());
    child.once('error', reject);
  }).finally(() => {
    exited = true;
  });
  ended.catch(() => undefined);
  await log.close();
  if (child.pid === undefined) {
    await once(child, 'spawn');
    throw new Error('A process without an id was started.');
  }
  child.unref();
  const found = await ready(home, child.pid, () => !exited, signal).catch(async (error: unknown) => {
    // Told to stop while it starts: no server is left that nobody watches.
    child.kill('SIGINT');
    await ended;
    throw error;
  });
  if (found === null) throw new StartFailed(await readFrom(home.log, logOffset));
  return { pid: child.pid, socketFolder: found, ended };
}

/** Local, durable, and small: it serves a few managers. `fsync` stays on. */
const settings = [
  'listen_addresses=',
  'unix_socket_permissions=0700',
  'port=5432',
  'max_connections=64',
  'shared_buffers=32MB',
  'jit=off',
  'timezone=UTC',
  'log_timezone=UTC',
  'logging_collector=off',
  'log_min_messages=warning',
];

/** The id of the server that runs on this data. A file that survived a reboot may name any process: only the server sits in the data. */
async function findRunning({ data }: Home): Promise<number | null> {
  const pid = Number((await readPidFile(data))[0]);
  if (!Number.isSafeInteger(pid) || pid <= 1 || !isAlive(pid)) return null;
  const folder = await readlink(`/proc/${pid}/cwd`).catch(() => null);
  return folder === (await realpath(data)) ? pid : null;
}

/** Waits until this server takes connections; answers with the folder of its socket, or null when it ended instead. */
async function ready(
  { data }: Home,
  pid: number,
  runs: () => boolean,
  signal: AbortSignal,
): Promise<string | null> {
  while (runs()) {
    const [file, , , , socketFolder = '', , , status = ''] = await readPidFile(data);
    if (Number(file) === pid && status.startsWith('ready')) return socketFolder;
    await wait(LOOK_MS, undefined, { signal });
  }
  return null;
}

/** Only a parent is told of a process's end. */
async function watch(pid: number): Promise<void> {
  while (isAlive(pid)) await wait(WATCH_MS, undefined, { ref: false });
}

/** Drops the older half of a log that has grown too long. Answers with where new lines will begin. */
async function shortenLog(path: string): Promise<number> {
  const size = await stat(path).then(
    (found) => found.size,
    () => 0,
  );
  if (size <= SERVER_LOG_BYTES) return size;
  const newer = await readFrom(path, size - SERVER_LOG_BYTES / 2);
  await truncate(path);
  await writeFile(path, newer);
  return Buffer.byteLength(newer);
}

async function readFrom(path: string, offset: number): Promise<string> {
  const text = await readFile(path);
  return text.subarray(offset).toString('utf8').trim();
}
