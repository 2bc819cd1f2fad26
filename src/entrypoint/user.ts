import { readFileSync, statSync } from 'node:fs';
import { chmod, chown, mkdir, readdir, rmdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

/** The user of the image that programs run as. */
export const IMAGE_USER = 'quay-builder';

/** Whom a program runs as. */
export interface User {
  readonly uid: number;
  readonly gid: number;
  /** The supplementary groups. */
  readonly groups: readonly number[];
  readonly home: string;
}

/** A user, and what the operator should know of the choice; null when there is nothing. */
export interface Choice {
  readonly user: User;
  readonly warning: string | null;
}

/** What of a socket's owner and mode counts. */
export interface SocketOwner {
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
}

/**
 * Whom a container that was started as root is to run as: the image's user, in the socket's group where that may use it. A socket that its
 * owner alone may use leaves no choice but that one.
 *
 * @param more groups that the container was given beside those of its root
 */
export function chooseUser(own: User, more: readonly number[], socket: SocketOwner | null): Choice {
  const groups = [...new Set([own.gid, ...own.groups, ...more])];
  const user = { ...own, groups };
  if (socket === null || (socket.mode & 0o002) !== 0) return { user, warning: null };
  if ((socket.mode & 0o020) !== 0)
    return { user: { ...user, groups: [...new Set([...groups, socket.gid])] }, warning: null };
  const warning =
    `only its owner may use the engine's socket, so the worker runs as user ${socket.uid}: ` +
    'give the socket a group that may (chmod g+w) for a user of less power';
  return { user: { ...user, uid: socket.uid }, warning };
}

/** The image's user, or null when the image has none. Throws the system's error. */
export function imageUser(passwd = '/etc/passwd'): User | null {
  for (const line of readFileSync(passwd, 'utf8').split('\n')) {
    const [name, , uid, gid, , home = '/'] = line.split(':');
    if (name === IMAGE_USER) return { uid: Number(uid), gid: Number(gid), groups: [], home };
  }
  return null;
}

/** The groups of this process that are not those which an image gives to root: what `--group-add` says. */
export function addedGroups(current: readonly number[], group = '/etc/group'): readonly number[] {
  const ofRoot = readFileSync(group, 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
    .filter(([name, , , members = '']) => name === 'root' || members.split(',').includes('root'))
    .map(([, , gid]) => Number(gid));
  return current.filter((gid) => gid !== 0 && !ofRoot.includes(gid));
}

/** The engine's socket as the worker will look for it, or null where it is none of this machine, or not there. */
export function socketOwner({
  DOCKER_HOST: host = '',
  CONTAINER_RUNTIME: runtime,
}: NodeJS.ProcessEnv): SocketOwner | null {
  const usual = runtime === 'podman' ? '/run/podman/podman.sock' : '/var/run/docker.sock';
  const path = host === '' ? usual : host.startsWith('unix://') ? host.slice('unix://'.length) : null;
  return path === null ? null : (statSync(path, { throwIfNoEntry: false }) ?? null);
}

/** Makes a folder that is missing, and gives it, when it is empty, to a user. Leaves what it cannot change for the worker to tell of. */
export async function offerFolder(path: string, { uid, gid }: User): Promise<void> {
  try {
    const made = await makeFolder(path);
    try {
      if ((await stat(path)).uid === uid || (await readdir(path)).length > 0) return;
      await chown(path, uid, gid);
    } catch (error) {
      // A folder of root's would keep the user from making its own.
      if (made) await rmdir(path);
      throw error;
    }
  } catch {
    // The worker names the folder, and what is wrong with it.
  }
}

/** Makes a folder that everybody may enter, and those above it. Answers whether it was missing. */
async function makeFolder(path: string): Promise<boolean> {
  if ((await stat(path).catch(() => null))?.isDirectory() === true) return false;
  if (dirname(path) !== path) await makeFolder(dirname(path));
  await mkdir(path);
  await chmod(path, 0o755);
  return true;
}

/** Gives up what root may, for good. Throws the system's error where the container lacks the capabilities for it. */
export function become({ uid, gid, groups }: User): void {
  process.setgroups?.([...groups]);
  process.setgid?.(gid);
  process.setuid?.(uid);
}
