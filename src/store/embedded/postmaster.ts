import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { StoreUnusable } from '../errors.ts';
import { SERVER_OCCUPIED_MS, SERVER_TELL_MS } from '../limits.ts';
import { PORT, prepareSocketFolder, runAs, type Home } from './home.ts';
import { isServerOf, readPidFile, removeDeadLocks } from './locks.ts';
import { isAlive } from './process-state.ts';
import { readLog, shortenLog } from './server-log.ts';

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

/** What a server that is being started has to say. */
export interface StartingServer {
  readonly home: Home;
  /** Aborted when nobody wants it any more. */
  readonly signal: AbortSignal;
  /** Called now and then while it is not ready, with how long that has been, in seconds, and what it said last. */
  readonly onSlow: (seconds: number, said: string) => void;
}

/**
 * Attaches to the server that runs on this data, or starts it. One that is alive is waited for, however long it replays its log after a crash:
 * it would begin anew if it were ended. One that is dying, or that another manager is starting, is waited for, too.
 */
export async function startPostmaster(starting: StartingServer): Promise<Postmaster> {
  const { home, signal } = starting;
  const since = performance.now();
  for (;;) {
    signal.throwIfAborted();
    const running = await findRunning(home);
    if (running !== null) {
      const attached = await attach(starting, running);
      if (attached) return attached;
      continue;
    }
    try {
      return await spawnPostmaster(starting);
    } catch (error) {
      if (!(error instanceof StartFailed)) throw error;
      if (!error.occupied || performance.now() - since > SERVER_OCCUPIED_MS) {
        throw new StoreUnusable(whyNot(home, error), { cause: error });
      }
      await wait(WATCH_MS, undefined, { signal });
    }
  }
}

function whyNot({ data }: Home, { message }: StartFailed): string {
  // Its own words are about data that may be corrupted.
  return /No space left on device|Disk quota exceeded/.test(message)
    ? `PostgreSQL cannot start: the disk of ${data} is full. Make room.`
    : `PostgreSQL did not start on ${data}: ${message}`;
}

/** null: it has ended before it was ready. */
async function attach(starting: StartingServer, pid: number): Promise<Postmaster | null> {
  const ended = watch(pid);
  const socketFolder = await ready(starting, pid, () => isAlive(pid));
  return socketFolder === null ? null : { pid, socketFolder, ended };
}

async function spawnPostmaster(starting: StartingServer): Promise<Postmaster> {
  const { home } = starting;
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
  const found = await ready(starting, child.pid, () => !exited).catch(async (error: unknown) => {
    // Told to stop while it starts: no server is left that nobody watches.
    child.kill('SIGINT');
    await ended;
    throw error;
  });
  if (found === null) throw new StartFailed(await readLog(home.log, logOffset));
  return { pid: child.pid, socketFolder: found, ended };
}

/** Local, durable, and small: it serves a few managers. `fsync` stays on. */
const settings = [
  'listen_addresses=',
  'unix_socket_permissions=0700',
  `port=${PORT}`,
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
  return (await isServerOf(data, pid)) === true ? pid : null;
}

/** Waits until this server takes connections; answers with the folder of its socket, or null when it ended instead. */
async function ready(
  { home, signal, onSlow }: StartingServer,
  pid: number,
  runs: () => boolean,
): Promise<string | null> {
  const since = performance.now();
  let toldAt = since;
  while (runs()) {
    const [file, , , , socketFolder = '', , , status = ''] = await readPidFile(home.data);
    if (Number(file) === pid && status.startsWith('ready')) return socketFolder;
    if (performance.now() - toldAt > SERVER_TELL_MS) {
      toldAt = performance.now();
      onSlow(Math.round((toldAt - since) / 1000), lastLine(await readLog(home.log)));
    }
    await wait(LOOK_MS, undefined, { signal });
  }
  return null;
}

function lastLine(text: string): string {
  return text.slice(text.lastIndexOf('\n') + 1);
}

/** Only a parent is told of a process's end. */
async function watch(pid: number): Promise<void> {
  while (isAlive(pid)) await wait(WATCH_MS, undefined, { ref: false });
}
