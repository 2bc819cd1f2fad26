import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import {
  chmod,
  chown,
  lstat,
  mkdir,
  mkdtemp,
  readFile,
  readlink,
  readdir,
  rename,
  rm,
  stat,
  symlink,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { StoreUnusable } from '../errors.ts';
import { canReach, chooseAccount, type Account } from './account.ts';
import { isAlive } from './process-state.ts';
import { findPrograms, type Programs } from './programs.ts';

const execFileAsync = promisify(execFile);

/** The superuser of our own server, and its only one. */
export const SUPERUSER = 'quay';
/** The number in its socket's name. */
export const PORT = 5432;
export const SOCKET_NAME = `.s.PGSQL.${PORT}`;
/** Of a socket's path, in bytes: `sun_path` is 108 with its end. */
const SOCKET_PATH_MAX = 107;

/**
 * Where our own server lives, below the manager's data folder:
 *
 *     postgresql/data         the database, made by initdb
 *     postgresql/run          its socket; a link to a short folder where the path would be too long
 *     postgresql/server.log   what the server says
 *     postgresql/programs-…   a copy of the programs, where the server cannot reach the package
 */
export interface Home {
  readonly folder: string;
  readonly data: string;
  readonly log: string;
  readonly account: Account;
  readonly programs: Programs;
  /** How to run a program as the account: what goes before it. */
  readonly prefix: readonly string[];
}

/** Makes the folders, with their owner, and the database, when they are not there yet. */
export async function prepareHome(dataDirectory: string, packageDirectory: string | null): Promise<Home> {
  const folder = join(dataDirectory, 'postgresql');
  const data = join(folder, 'data');
  await mkdir(dataDirectory, { recursive: true, mode: 0o700 });
  const account = await chooseAccount(data);
  await makeFolder(folder, account);
  await letEnter(account, dataDirectory);
  const reachable = await canReach(account, folder);
  const prefix = reachable ? [] : await enteringAll(account, folder);
  const programs = await findPrograms({
    account,
    home: folder,
    entersAll: !reachable,
    dataMajor: await readMajor(data),
    packageDirectory,
  });
  const home = { folder, data, log: join(folder, 'server.log'), account, programs, prefix };
  if ((await readMajor(data)) === null) await createDatabase(home);
  return home;
}

async function makeFolder(folder: string, { uid, gid }: Account): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await chown(folder, uid, gid);
}

/** Root's own data folder, closed to all others, is opened so far that the server's group may pass through it. */
async function letEnter(account: Account, dataDirectory: string): Promise<void> {
  const { uid, mode } = await stat(dataDirectory);
  if (process.getuid?.() !== 0 || account.uid === 0 || uid !== 0 || (mode & 0o077) !== 0) return;
  await chown(dataDirectory, 0, account.gid);
  await chmod(dataDirectory, 0o710);
}

/**
 * Below a folder that only root may enter, as root's home, the server gets the one capability that lets it in. It reads no more than the
 * manager may, which is root.
 */
async function enteringAll({ uid, gid }: Account, folder: string): Promise<readonly string[]> {
  const prefix = [
    'setpriv',
    ...[`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups'],
    ...['--inh-caps=-all,+dac_read_search', '--ambient-caps=-all,+dac_read_search'],
    // Without the bit, access(2), by which PostgreSQL finds its own files, would not heed the capability.
    ...['--bounding-set=-all,+dac_read_search', '--securebits=+no_setuid_fixup', '--'],
  ];
  const [command = '', ...rest] = prefix;
  await execFileAsync(command, [...rest, 'ls', folder]).catch((error: unknown) => {
    throw new StoreUnusable(
      `PostgreSQL runs as the user with id ${uid}, who may not enter the folders above ${folder}. ` +
        'Set DATA_DIR to a folder that others may pass through, as below /var/lib, or DATABASE_URL to a server of your own.',
      { cause: error },
    );
  });
  return prefix;
}

async function readMajor(data: string): Promise<number | null> {
  const version = await readFile(join(data, 'PG_VERSION'), 'utf8').catch(() => null);
  return version === null ? null : Number.parseInt(version, 10);
}

/** Under its name only when it is whole, and when no other manager was faster. */
async function createDatabase({ folder, data, account, programs, prefix }: Home): Promise<void> {
  await removeUnfinished(folder);
  const unfinished = join(folder, `initdb-${process.pid}-${randomUUID()}`);
  const [command = '', ...args] = [
    ...prefix,
    join(programs.bin, 'initdb'),
    ...['--pgdata', unfinished, '--username', SUPERUSER, '--auth=trust', '--encoding=UTF8'],
    ...['--locale=C', '--data-checksums', '--no-instructions'],
  ];
  try {
    await execFileAsync(command, args, { cwd: folder, env: {}, ...runAs(account, prefix) });
    await rename(unfinished, data);
  } catch (error) {
    await rm(unfinished, { recursive: true, force: true });
    if ((await readMajor(data)) !== null) return;
    const said = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : String(error);
    throw new StoreUnusable(`The database could not be made in ${data}: ${said}`, { cause: error });
  }
}

/** Removes what a manager that was killed in `createDatabase` left. */
async function removeUnfinished(folder: string): Promise<void> {
  for (const entry of await readdir(folder)) {
    const pid = /^initdb-(\d+)-/.exec(entry)?.[1];
    if (pid === undefined || isAlive(Number(pid))) continue;
    await rm(join(folder, entry), { recursive: true, force: true });
  }
}

/** What `spawn` needs to run a program as the account; nothing where it is ours already, or where the prefix sees to it. */
export function runAs({ uid, gid }: Account, prefix: readonly string[]): { uid?: number; gid?: number } {
  return process.getuid?.() === 0 && prefix.length === 0 ? { uid, gid } : {};
}

/** The folder for the socket: `run`, or a short one that `run` links to. */
export async function prepareSocketFolder({ folder, account, prefix }: Home): Promise<string> {
  const run = join(folder, 'run');
  if (fits(run)) {
    await makeFolder(run, account);
    return run;
  }
  const linked = await readlink(run).catch(() => null);
  if (linked !== null && (await isOwn(linked, account))) return linked;
  // Not a folder that only root may enter: the prefix would help, but the path must be short, too.
  const roots = [tmpdir(), '/tmp'].filter((root) => fits(join(root, 'quay-XXXXXX')));
  const root = roots[0];
  if (root === undefined || (prefix.length > 0 && !(await canReach(account, join(root, 'x'))))) {
    throw new StoreUnusable(`The path of ${run} is too long for a socket. Set DATA_DIR to a shorter one.`);
  }
  const short = await mkdtemp(join(root, 'quay-'));
  await chown(short, account.uid, account.gid);
  await rm(run, { force: true });
  await symlink(short, run);
  return short;
}

function fits(folder: string): boolean {
  return Buffer.byteLength(join(folder, SOCKET_NAME)) <= SOCKET_PATH_MAX;
}

/** Nobody else may have made it: folders for temporary files are everybody's. */
async function isOwn(folder: string, { uid }: Account): Promise<boolean> {
  const found = await lstat(folder).catch(() => null);
  return found !== null && found.isDirectory() && found.uid === uid && (found.mode & 0o077) === 0;
}

/** Removes the short folder of a socket, when the server has stopped. */
export async function removeSocketFolder({ folder }: Home): Promise<void> {
  const run = join(folder, 'run');
  const linked = await readlink(run).catch(() => null);
  if (linked === null || dirname(linked) === folder) return;
  await rm(linked, { recursive: true, force: true });
  await rm(run, { force: true });
}
