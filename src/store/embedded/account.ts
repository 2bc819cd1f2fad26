import { execFile } from 'node:child_process';
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { StoreUnusable } from '../errors.ts';

const execFileAsync = promisify(execFile);

/** Whom the server runs as. */
export interface Account {
  readonly uid: number;
  readonly gid: number;
}

/** Made for it, or there on every machine. */
const NAMES = ['postgres', 'nobody'];

/**
 * The account of the server: our own, but for root, which PostgreSQL refuses. Then it is whoever owns the data, or `postgres`, or
 * `nobody`.
 */
export async function chooseAccount(dataDirectory: string): Promise<Account> {
  const ours = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  if (ours.uid !== 0) return ours;
  const data = await stat(dataDirectory).catch(() => null);
  if (data && data.uid !== 0) return { uid: data.uid, gid: data.gid };
  for (const name of NAMES) {
    const account = await lookUp(name);
    if (account) return account;
  }
  throw new StoreUnusable(
    `PostgreSQL does not run as root, and there is no account ${NAMES.join(' or ')} to run it as. ` +
      'Create one, start the manager as another user, or set DATABASE_URL to a server of your own.',
  );
}

async function lookUp(name: string): Promise<Account | null> {
  try {
    const [uid, gid] = await Promise.all(
      ['-u', '-g'].map(async (which) => Number((await execFileAsync('id', [which, name])).stdout)),
    );
    return uid && gid ? { uid, gid } : null;
  } catch {
    return null;
  }
}

/** Whether an account may enter every folder above a path. Access lists are not read: where only they allow it, the answer is no. */
export async function canReach(account: Account, path: string): Promise<boolean> {
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    if (!mayEnter(account, await stat(folder))) return false;
    if (folder === dirname(folder)) return true;
  }
}

function mayEnter({ uid, gid }: Account, folder: { uid: number; gid: number; mode: number }): boolean {
  if (uid === 0) return true;
  if (uid === folder.uid) return (folder.mode & 0o100) !== 0;
  if (gid === folder.gid) return (folder.mode & 0o010) !== 0;
  return (folder.mode & 0o001) !== 0;
}
