import {
  appendFile,
  chmod,
  chown,
  cp,
  lstat,
  mkdir,
  readFile,
  readdir,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { dirname, join } from 'node:path';
import pg from 'pg';
import pino from 'pino';
import { expect, test, vi } from 'vitest';
import { startProcess } from '../../../lab/process.ts';
import { isAlive } from '../../../src/store/embedded/process-state.ts';
import { findPackage } from '../../../src/store/embedded/programs.ts';
import { readLog, shortenLog } from '../../../src/store/embedded/server-log.ts';
import { startEmbeddedServer, type EmbeddedServer } from '../../../src/store/embedded/server.ts';
import { StoreUnusable } from '../../../src/store/index.ts';
import { SERVER_LOG_BYTES } from '../../../src/store/limits.ts';
import { loadMigrations, migrate } from '../../../src/store/migrations.ts';
import { makeDataFolder, uidOf } from '../support/data-folder.ts';
import { log } from '../support/store.ts';

/** These are about a manager that root starts, as `make demo` may; for anyone else all of it is trivially so. */

async function expectWorks(server: EmbeddedServer): Promise<void> {
  const client = new pg.Client(server.address);
  await client.connect();
  expect((await client.query<{ value: string }>("select upper('works') as value")).rows).toEqual([
    { value: 'WORKS' },
  ]);
  await client.end();
  expect(await uidOf(server.pid)).not.toBe(0);
}

const programOf = (pid: number): Promise<string> =>
  readFile(`/proc/${pid}/cmdline`, 'utf8').then((line) => line.split('\0')[0] ?? '');

/** Writes a lock as the server's own, which is of its user. */
async function leaveLock(path: string, content: string): Promise<void> {
  const { uid, gid } = await stat(dirname(path));
  await writeFile(path, content);
  await chown(path, uid, gid);
}

async function copyPackage(to: string): Promise<string> {
  await cp(findPackage() ?? '', to, { recursive: true, verbatimSymlinks: true });
  return to;
}

test('a package below a folder that only root may enter is copied beside the data, once', async () => {
  await using folder = await makeDataFolder();
  const closed = join(folder.path, 'root');
  await mkdir(closed, { mode: 0o700 });
  const packageDirectory = await copyPackage(join(closed, 'package'));
  const dataDirectory = join(folder.path, 'data');
  for (let starts = 0; starts < 2; starts += 1) {
    const server = await startEmbeddedServer({ dataDirectory, log, packageDirectory });
    await expectWorks(server);
    expect(await programOf(server.pid)).toMatch(join(dataDirectory, 'postgresql', 'programs-18.'));
    await server.stop();
  }
  const programs = (await readdir(join(dataDirectory, 'postgresql'))).filter((name) =>
    name.startsWith('programs'),
  );
  expect(programs).toHaveLength(1);
});

test('a data folder below one that only root may enter serves as well', async () => {
  await using folder = await makeDataFolder();
  const closed = join(folder.path, 'root');
  await mkdir(closed, { mode: 0o700 });
  const packageDirectory = await copyPackage(join(closed, 'package'));
  const dataDirectory = join(closed, 'deep', 'data');
  const server = await startEmbeddedServer({ dataDirectory, log, packageDirectory });
  await expectWorks(server);
  expect((await lstat(closed)).mode & 0o777).toBe(0o700);
  // One capability, to pass through; none to write what is not its own.
  expect(await readFile(`/proc/${server.pid}/status`, 'utf8')).toMatch(/^CapEff:\t0{15}4$/m);
  await server.stop();
});

test('a data folder that was made for root alone, as by mktemp, serves as well', async () => {
  await using folder = await makeDataFolder();
  const dataDirectory = join(folder.path, 'data');
  await mkdir(dataDirectory, { mode: 0o700 });
  const server = await startEmbeddedServer({ dataDirectory, log });
  await expectWorks(server);
  expect((await lstat(dataDirectory)).mode & 0o007).toBe(0);
  await server.stop();
});

test('links that the package did not make, because its install script did not run, are made', async () => {
  await using folder = await makeDataFolder();
  const packageDirectory = await copyPackage(join(folder.path, 'package'));
  const libraries = join(packageDirectory, 'native', 'lib');
  for (const name of await readdir(libraries)) {
    if ((await lstat(join(libraries, name))).isSymbolicLink()) await rm(join(libraries, name));
  }
  const server = await startEmbeddedServer({
    dataDirectory: join(folder.path, 'data'),
    log,
    packageDirectory,
  });
  await expectWorks(server);
  expect(await programOf(server.pid)).toBe(join(packageDirectory, 'native', 'bin', 'postgres'));
  await server.stop();
});

test("without the package the machine's own PostgreSQL serves", async () => {
  await using folder = await makeDataFolder();
  const dataDirectory = join(folder.path, 'data');
  const server = await startEmbeddedServer({ dataDirectory, log, packageDirectory: null });
  await expectWorks(server);
  await migrate(server.address, loadMigrations());
  expect(await programOf(server.pid)).not.toContain('node_modules');
  await server.stop();
});

test.each([
  ['PGPORT', '5433'],
  ['PGSSLMODE', 'require'],
  ['PGOPTIONS', '-c search_path=nowhere'],
])('what %s says of another server is not taken for it', async (name, value) => {
  await using folder = await makeDataFolder();
  vi.stubEnv(name, value);
  try {
    const server = await startEmbeddedServer({ dataDirectory: folder.path, log });
    await migrate(server.address, loadMigrations());
    await expectWorks(server);
    await server.stop();
    expect(isAlive(server.pid)).toBe(false);
  } finally {
    vi.unstubAllEnvs();
  }
});

test('a data folder too deep for a socket has its socket elsewhere, and takes it along when it goes', async () => {
  await using folder = await makeDataFolder();
  const dataDirectory = join(folder.path, 'deep '.repeat(20), 'with, "quotes"');
  const server = await startEmbeddedServer({ dataDirectory, log });
  await expectWorks(server);
  const { host = '' } = server.address;
  expect(Buffer.byteLength(host)).toBeLessThan(90);
  await server.stop();
  await expect(lstat(host)).rejects.toThrow('ENOENT');
});

test('a short folder that somebody else put in the way of the socket is not used', async () => {
  await using folder = await makeDataFolder();
  const dataDirectory = join(folder.path, 'deep'.repeat(25));
  const trap = join(folder.path, 'trap');
  await mkdir(trap);
  await chmod(trap, 0o777);
  await mkdir(join(dataDirectory, 'postgresql'), { recursive: true });
  await symlink(trap, join(dataDirectory, 'postgresql', 'run'));
  const server = await startEmbeddedServer({ dataDirectory, log });
  expect(server.address.host).not.toBe(trap);
  await expectWorks(server);
  await server.stop();
});

test('a lock that a server was killed before it could write does not keep the next from starting', async () => {
  await using folder = await makeDataFolder();
  const first = await startEmbeddedServer({ dataDirectory: folder.path, log });
  await first.stop();
  const { data, run } = {
    data: join(folder.path, 'postgresql/data'),
    run: join(folder.path, 'postgresql/run'),
  };
  for (const lock of [join(data, 'postmaster.pid'), join(run, '.s.PGSQL.5432.lock')]) {
    await leaveLock(lock, '');
  }
  const server = await startEmbeddedServer({ dataDirectory: folder.path, log });
  await expectWorks(server);
  await server.stop();
});

test('locks that survived a restart of the machine, whose ids name other processes now, do not keep it from starting', async () => {
  await using folder = await makeDataFolder();
  const first = await startEmbeddedServer({ dataDirectory: folder.path, log });
  const data = join(folder.path, 'postgresql/data');
  const socket = join(folder.path, 'postgresql/run/.s.PGSQL.5432');
  const locks = [join(data, 'postmaster.pid'), `${socket}.lock`];
  const left = await Promise.all(locks.map((lock) => readFile(lock, 'utf8')));
  const uid = await uidOf(first.pid);
  await first.stop();
  // Of the same user, which PostgreSQL by itself takes for a server.
  await using other = startProcess('/usr/bin/setpriv', [`--reuid=${uid}`, '--clear-groups', 'sleep', '600']);
  for (const [index, lock] of locks.entries()) {
    await leaveLock(lock, (left[index] ?? '').replace(/^\d+/, String(other.pid)));
  }
  await writeFile(socket, '');
  const server = await startEmbeddedServer({ dataDirectory: folder.path, log });
  await expectWorks(server);
  await server.stop();
});

test('a server that takes long to be ready, as after a crash, is waited for, and the manager says so', async () => {
  await using folder = await makeDataFolder();
  const packageDirectory = await copyPackage(join(folder.path, 'package'));
  const program = join(packageDirectory, 'native/bin/postgres');
  const hold = join(folder.path, 'hold');
  await rename(program, `${program}.slow`);
  await writeFile(program, `#!/bin/sh\nwhile [ -e '${hold}' ]; do sleep 0.1; done\nexec "$0.slow" "$@"\n`);
  await chmod(program, 0o755);
  const dataDirectory = join(folder.path, 'data');
  const first = await startEmbeddedServer({ dataDirectory, log, packageDirectory });
  const said = Promise.withResolvers<undefined>();
  const telling = pino(
    { level: 'info' },
    { write: (line) => line.includes('not ready yet') && said.resolve(undefined) },
  );
  const second = await startEmbeddedServer({ dataDirectory, log: telling, packageDirectory });
  const down = Promise.withResolvers<undefined>();
  const up = Promise.withResolvers<undefined>();
  second.subscribe(({ type }) => (type === 'up' ? up : down).resolve(undefined));
  await writeFile(hold, '');
  process.kill(first.pid, 'SIGKILL');
  await down.promise;
  await said.promise;
  await rm(hold);
  await up.promise;
  await expectWorks(second);
  await first.stop();
  await second.stop();
});

test('what the server says is kept within its bound while it runs, its newest lines last', async () => {
  await using folder = await makeDataFolder();
  const server = await startEmbeddedServer({ dataDirectory: folder.path, log });
  const path = join(folder.path, 'postgresql/server.log');
  await appendFile(path, 'an old line\n'.repeat(SERVER_LOG_BYTES / 10));
  await shortenLog(path);
  const client = new pg.Client(server.address);
  await client.connect();
  await expect(client.query('select a_column_that_is_not_there')).rejects.toThrow();
  await client.end();
  await expect.poll(() => readLog(path)).toContain('a_column_that_is_not_there');
  expect((await stat(path)).size).toBeLessThan(SERVER_LOG_BYTES);
  expect(await readLog(path, 0)).toMatch(/an old line\n.*a_column_that_is_not_there/s);
  await server.stop();
});

test('data of another version is refused, with what to do', async () => {
  await using folder = await makeDataFolder();
  const data = join(folder.path, 'postgresql', 'data');
  await mkdir(data, { recursive: true });
  await writeFile(join(data, 'PG_VERSION'), '9\n');
  const refused = startEmbeddedServer({ dataDirectory: folder.path, log });
  await expect(refused).rejects.toThrow(StoreUnusable);
  await expect(refused).rejects.toThrow(/made by PostgreSQL 9, .* set DATABASE_URL/);
});

test('data that is damaged is refused with the words of the server', async () => {
  await using folder = await makeDataFolder();
  const server = await startEmbeddedServer({ dataDirectory: folder.path, log });
  await server.stop();
  await rm(join(folder.path, 'postgresql', 'data', 'global', 'pg_control'));
  await expect(startEmbeddedServer({ dataDirectory: folder.path, log })).rejects.toThrow(
    /did not start on .*pg_control/s,
  );
});
