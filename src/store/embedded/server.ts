import { setTimeout as wait } from 'node:timers/promises';
import pg from 'pg';
import type { Logger } from 'pino';
import { connectionOptions, disconnect, type Address } from '../database.ts';
import {
  SERVER_CLIENTS_LOOKS,
  SERVER_LOG_LOOK_MS,
  SERVER_RESTART_MS,
  SERVER_STOP_TIMEOUT_MS,
} from '../limits.ts';
import { PORT, prepareHome, removeSocketFolder, SUPERUSER } from './home.ts';
import { startPostmaster, type Postmaster, type StartingServer } from './postmaster.ts';
import { isAlive } from './process-state.ts';
import { findPackage } from './programs.ts';
import { shortenLog } from './server-log.ts';

/** `down`: it ended without being told to; it is started again, and `up` follows. */
type ServerEvent = { readonly type: 'up' } | { readonly type: 'down' };

/** Our own PostgreSQL. */
export interface EmbeddedServer {
  readonly address: Address;
  /** Of the process that runs now. */
  readonly pid: number;
  subscribe(listener: (event: ServerEvent) => void): () => void;
  /** Ends its connections and waits until it has stopped; where another manager still uses it, it is left running. */
  stop(): Promise<void>;
}

export interface EmbeddedServerOptions {
  /** The manager's data folder. The server keeps to `postgresql` in it. */
  readonly dataDirectory: string;
  readonly log: Logger;
  /** Where the npm package with the programs is; found when absent, not looked for when null. */
  readonly packageDirectory?: string | null;
}

/**
 * Starts a private PostgreSQL that listens on a socket in the data folder alone, or attaches to the one that a killed manager left
 * there, or that another manager runs. It is watched, and started again when it ends. Fails with {@link StoreUnusable}.
 */
export async function startEmbeddedServer(options: EmbeddedServerOptions): Promise<EmbeddedServer> {
  const { dataDirectory, log, packageDirectory = findPackage() } = options;
  const home = await prepareHome(dataDirectory, packageDirectory);
  const listeners = new Set<(event: ServerEvent) => void>();
  const stopping = new AbortController();
  const starting: StartingServer = {
    home,
    signal: stopping.signal,
    onSlow: (seconds, said) =>
      log.warn({ seconds, said, log: home.log }, 'PostgreSQL is not ready yet; it is waited for.'),
  };
  let postmaster = await startPostmaster(starting);
  log.info({ pid: postmaster.pid, data: home.data }, 'PostgreSQL is up.');

  const tell = (event: ServerEvent): void => {
    for (const listener of [...listeners]) listener(event);
  };

  const restart = async (): Promise<void> => {
    for (let pause: number = SERVER_RESTART_MS.first; ; pause = Math.min(pause * 2, SERVER_RESTART_MS.most)) {
      await wait(pause, undefined, { signal: stopping.signal });
      try {
        postmaster = await startPostmaster(starting);
        return;
      } catch (error) {
        if (stopping.signal.aborted) throw error;
        log.error({ err: error }, 'PostgreSQL did not start again.');
      }
    }
  };

  const supervise = async (): Promise<void> => {
    for (;;) {
      await postmaster.ended;
      if (stopping.signal.aborted) return;
      log.error({ pid: postmaster.pid, log: home.log }, 'PostgreSQL has ended; it is started again.');
      tell({ type: 'down' });
      await restart();
      log.info({ pid: postmaster.pid }, 'PostgreSQL is up again.');
      tell({ type: 'up' });
    }
  };
  const supervised = supervise().catch((error: unknown) => {
    if (!stopping.signal.aborted) log.fatal({ err: error }, 'PostgreSQL is no longer watched.');
  });

  const logWatch = setInterval(() => {
    shortenLog(home.log).catch((error: unknown) =>
      log.warn({ err: error, log: home.log }, 'The log of PostgreSQL could not be shortened.'),
    );
  }, SERVER_LOG_LOOK_MS).unref();

  return {
    address: addressOf(postmaster),
    get pid() {
      return postmaster.pid;
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    async stop() {
      if (stopping.signal.aborted) return;
      clearInterval(logWatch);
      const shared = await hasOtherClients(postmaster);
      stopping.abort();
      if (shared) return;
      await end(postmaster);
      await supervised;
      await removeSocketFolder(home);
      log.info('PostgreSQL has stopped.');
    },
  };
}

/** In full: what it leaves out, or empty, `pg` takes from the environment, where PGPORT, PGSSLMODE and PGOPTIONS are about another server. */
function addressOf({ socketFolder }: Postmaster): Address {
  return {
    host: socketFolder,
    port: PORT,
    user: SUPERUSER,
    database: 'postgres',
    ssl: false,
    options: ' ',
  };
}

/** Whether another manager uses it. Connections that were just ended take a moment to go: only what stays is another's. */
async function hasOtherClients(postmaster: Postmaster): Promise<boolean> {
  const client = new pg.Client(connectionOptions(addressOf(postmaster)));
  client.on('error', () => undefined);
  try {
    await client.connect();
    for (let looks = 1; ; looks += 1) {
      const { rows } = await client.query<{ others: number }>(
        `select count(*) as others from pg_stat_activity
         where backend_type = 'client backend' and pid <> pg_backend_pid()`,
      );
      if (rows[0]?.others === 0) return false;
      if (looks === SERVER_CLIENTS_LOOKS.times) return true;
      await wait(SERVER_CLIENTS_LOOKS.apartMs);
    }
  } catch {
    // A server that does not answer serves nobody.
    return false;
  } finally {
    await disconnect(client);
  }
}

/** Fast shutdown; what does not end is killed, and recovers at its next start. */
async function end({ pid, ended }: Postmaster): Promise<void> {
  for (const signal of ['SIGINT', 'SIGQUIT', 'SIGKILL'] as const) {
    if (!isAlive(pid)) return;
    process.kill(pid, signal);
    const timeout = new AbortController();
    const stopped = await Promise.race([
      ended.then(() => true),
      wait(SERVER_STOP_TIMEOUT_MS, false, { signal: timeout.signal }).catch(() => false),
    ]);
    timeout.abort();
    if (stopped) return;
  }
}
