import { randomBytes } from 'node:crypto';
import { chmod, lstat, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolders } from '../contract/folders.ts';
import { type LeaseClaim, leaseClaimSchema } from '../contract/extensions.ts';

/**
 * Where builds lie while they run, each in a folder of its own, mode 0700:
 *
 *   WORK_DIR/WORKER_ID/key               a secret that stays, for what is kept on the engine between builds
 *   WORK_DIR/WORKER_ID/known_hosts       the host keys of git servers, where the first one seen is trusted
 *   WORK_DIR/WORKER_ID/health            how the worker is, for who asks
 *   WORK_DIR/WORKER_ID/engine.json       what the worker brought to its engine, and when it was used
 *   WORK_DIR/WORKER_ID/BUILD.PROCESS/    a build's folder while it is made, moved when it is whole
 *   WORK_DIR/WORKER_ID/BUILD/owner       the process that runs this build
 *   WORK_DIR/WORKER_ID/BUILD/content/    what the build fetches
 *   WORK_DIR/WORKER_ID/BUILD/lease       which try it is, to a manager that may be told that nobody goes on with it
 *   WORK_DIR/WORKER_ID/BUILD/log         what of its log waits for a manager that is away
 */
export interface WorkDirectory {
  /** The worker's own folder, `WORK_DIR/WORKER_ID`. */
  readonly path: string;
  readonly key: Buffer;
  /** The path of ssh's known_hosts, which ssh makes when it first trusts a server. */
  readonly knownHosts: string;
  /** The builds of workers that were killed. Their folders stay until they are removed. */
  leftovers(): Promise<string[]>;
  /** Makes a build's folder, and answers with its empty content. */
  create(build: string): Promise<string>;
  /** Notes which try a build is, so that the next worker knows. */
  keepLease(build: string, lease: LeaseClaim): Promise<void>;
  /** What was noted of a build, or null. */
  leaseOf(build: string): Promise<LeaseClaim | null>;
  /** Where a build's log may wait. */
  logSpoolOf(build: string): string;
  /** Removes what a build has fetched; its folder stays. */
  removeContent(build: string): Promise<void>;
  remove(build: string): Promise<void>;
}

const KEY_BYTES = 32;
const KEY = 'key';
/** A build's folder while it is made: the build, and the process that makes it. */
const DRAFT = /\.(\d+)-(\d+)$/;

/** Opens a worker's folder. Throws when it cannot be made, or someone else may read it. */
export async function openWorkDirectory(root: string, workerId: string): Promise<WorkDirectory> {
  await makePrivate(root);
  const home = join(root, workerId);
  await makePrivate(home);
  const key = await readKey(join(home, KEY));
  return {
    path: home,
    key,
    knownHosts: join(home, 'known_hosts'),
    leftovers: async () => {
      const entries = await readdir(home, { withFileTypes: true });
      const builds = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
      const orphaned = await Promise.all(builds.map((build) => isOrphaned(home, build)));
      return builds.filter((_, index) => orphaned[index]);
    },
    create: async (build) => {
      // Whose it is must be known from the first moment: by its name, until the file is there.
      const owner = await processIdentity(process.pid);
      const draft = join(home, `${build}.${owner.replace(' ', '-')}`);
      await mkdir(draft, { mode: 0o700 });
      await mkdir(join(draft, 'content'), { mode: 0o700 });
      await writeFile(join(draft, 'owner'), owner, { mode: 0o600 });
      await rename(draft, join(home, build));
      return join(home, build, 'content');
    },
    keepLease: (build, lease) =>
      writeFile(join(home, build, 'lease'), JSON.stringify(lease), { mode: 0o600 }),
    leaseOf: async (build) => readLease(await readFile(join(home, build, 'lease'), 'utf8').catch(() => '')),
    logSpoolOf: (build) => join(home, build, 'log'),
    removeContent: (build) => removeAll(join(home, build, 'content')),
    remove: (build) => removeAll(join(home, build)),
  };
}

/** A worker may be killed while it writes. */
function readLease(text: string): LeaseClaim | null {
  try {
    return leaseClaimSchema.parse(JSON.parse(text));
  } catch {
    return null;
  }
}

/** In a folder that all may write to, someone else may have made it first. */
async function makePrivate(path: string): Promise<void> {
  await makeFolders(path);
  const stat = await lstat(path);
  if (!stat.isDirectory() || stat.uid !== process.getuid?.()) {
    throw new Error(`${path} must be a folder that belongs to the worker's user`);
  }
  await chmod(path, 0o700);
}

async function readKey(path: string): Promise<Buffer> {
  const found = await readFile(path).catch(() => null);
  if (found?.length === KEY_BYTES) return found;
  const key = randomBytes(KEY_BYTES);
  const draft = `${path}.${process.pid}`;
  await writeFile(draft, key, { mode: 0o600 });
  await rename(draft, path);
  return key;
}

/** Names a process for ever: its number is used again, its number and its start are not. */
export async function processIdentity(pid: number): Promise<string> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  // The name of the program, in parentheses, may hold anything; the start is the 20th field after it.
  const start = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  return `${pid} ${start}`;
}

async function isOrphaned(home: string, build: string): Promise<boolean> {
  const [, pid, start] = DRAFT.exec(build) ?? [];
  const text =
    pid === undefined
      ? await readFile(join(home, build, 'owner'), 'utf8').catch(() => '')
      : `${pid} ${start ?? ''}`;
  return text !== (await processIdentity(Number.parseInt(text, 10)));
}

/** Removes a folder, also one in which an archive left folders that their owner may not write to. */
async function removeAll(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EACCES') throw error;
    await makeWritable(path);
    await rm(path, { recursive: true, force: true });
  }
}

async function makeWritable(directory: string): Promise<void> {
  await chmod(directory, 0o700);
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    if (entry.isDirectory()) await makeWritable(join(directory, entry.name));
  }
}
