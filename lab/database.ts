import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { setTimeout as wait } from 'node:timers/promises';
import pg from 'pg';
import pino from 'pino';
import { isAlive } from '../src/store/embedded/process-state.ts';
import { startEmbeddedServer } from '../src/store/embedded/server.ts';
import { loadMigrations, migrate } from '../src/store/migrations.ts';
import { folderPrefix } from './orphans.ts';

interface LabDatabase {
  /** For `DATABASE_URL`. */
  readonly url: string;
  readonly name: string;
}

export interface LabDatabaseServer extends AsyncDisposable {
  /** For tests that hurt the server. */
  readonly pid: number;
  /** A database of its own with the schema in it, made from a template in some 20 ms. */
  createDatabase(): Promise<LabDatabase>;
  /** One that is empty. */
  createEmptyDatabase(): Promise<LabDatabase>;
  stop(): Promise<void>;
}

const TEMPLATE = 'lab_template';

interface DatabaseServerOptions {
  /** Ours, or the older ones of Debian's packages. */
  readonly programs?: 'ours' | 'of the machine';
  /** An empty folder for its data, which its owner removes; a temporary one when absent. */
  readonly directory?: string;
}

/** Starts a PostgreSQL that is reached through its socket alone, and started again whenever it ends. */
export async function startDatabaseServer({
  programs = 'ours',
  directory,
}: DatabaseServerOptions = {}): Promise<LabDatabaseServer> {
  const folder = directory ?? (await mkdtemp(`${folderPrefix()}pg-`));
  // The server runs as another user when we are root: it must pass through.
  await chmod(folder, 0o711);
  const server = await startEmbeddedServer({
    dataDirectory: folder,
    log: pino({ level: 'silent' }),
    ...(programs === 'ours' ? {} : { packageDirectory: null }),
  });
  const { host = '', user = '' } = server.address;
  // A test that dies leaves no server behind.
  const onExit = (): void => {
    process.kill(server.pid, 'SIGKILL');
    if (directory === undefined) rmSync(folder, { recursive: true, force: true });
  };
  process.once('exit', onExit);

  const urlOf = (database: string): string =>
    `postgresql://${user}@localhost:5432/${database}?host=${encodeURIComponent(host)}&sslmode=disable`;
  const admin = async (statement: string): Promise<void> => {
    const client = new pg.Client(server.address);
    await client.connect();
    await client.query(statement);
    await client.end();
  };
  const create = async (template: string): Promise<LabDatabase> => {
    const name = `test_${randomUUID().replaceAll('-', '')}`;
    await admin(`create database ${name} template ${template}`);
    return { name, url: urlOf(name) };
  };

  const stop = async (): Promise<void> => {
    const { pid } = server;
    await server.stop();
    // A test that failed may have left its connections open: then the server would stay.
    while (isAlive(pid)) {
      process.kill(pid, 'SIGQUIT');
      await wait(20);
    }
    process.off('exit', onExit);
    if (directory === undefined) await rm(folder, { recursive: true, force: true });
  };
  try {
    await admin(`create database ${TEMPLATE}`);
    await migrate({ connectionString: urlOf(TEMPLATE) }, loadMigrations());
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    get pid() {
      return server.pid;
    },
    createDatabase: () => create(TEMPLATE),
    createEmptyDatabase: () => create('template1'),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}
