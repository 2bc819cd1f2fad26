import { readdir, readFile } from 'node:fs/promises';
import { readFileSync } from 'node:fs';

/** Names a process for as long as the machine runs: its number is used again, its number and its start are not. */
export interface ProcessId {
  readonly pid: number;
  /** In ticks since the machine started (proc(5), `starttime`). */
  readonly start: string;
}

interface Process extends ProcessId {
  readonly parent: number;
  /** The process whose session it is in (setsid(2)). */
  readonly session: number;
  /** Whether it has ended, and nobody has asked how. */
  readonly isDead: boolean;
}

/** The process of this number as it is now, or null. One that has ended counts as none. */
export async function identify(pid: number): Promise<ProcessId | null> {
  const found = await readProcess(pid);
  return found && !found.isDead ? { pid: found.pid, start: found.start } : null;
}

/** Whether exactly this process still runs. */
export async function isRunning({ pid, start }: ProcessId): Promise<boolean> {
  return (await identify(pid))?.start === start;
}

/** When this machine was started: process ids of another time mean nothing. */
export function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}

/**
 * A leader of a session and what it has started: all that carry the mark, `NAME=value`, in their environment; and, while the leader runs, its
 * session and its descendants, whatever their environment. When it is gone, its number may be another's.
 */
export async function familyOf(leader: ProcessId, mark: string): Promise<readonly ProcessId[]> {
  const all = (await readProcesses()).filter(({ isDead }) => !isDead);
  const marked = await Promise.all(all.map(async ({ pid }) => (await environmentOf(pid)).includes(mark)));
  const family = new Map(all.filter((_, index) => marked[index]).map((each) => [each.pid, each]));
  if (all.some(({ pid, start }) => pid === leader.pid && start === leader.start)) {
    for (const each of all) if (each.session === leader.pid) family.set(each.pid, each);
  }
  // A Map that grows while it is walked is walked to its end.
  for (const { pid } of family.values()) {
    for (const child of all) if (child.parent === pid) family.set(child.pid, child);
  }
  return [...family.values()];
}

/** Sends a signal to a process; one that has ended meanwhile is no error. */
export function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error) || error.code !== 'ESRCH') throw error;
  }
}

async function readProcesses(): Promise<readonly Process[]> {
  const names = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const all = await Promise.all(names.map((name) => readProcess(Number(name))));
  return all.filter((each) => each !== null);
}

async function readProcess(pid: number): Promise<Process | null> {
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => '');
  // The name of the program, in parentheses, may hold anything; the fields after it are counted from the third, the state.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state = '', parent = ''] = fields;
  const start = fields[19];
  if (start === undefined) return null;
  return {
    pid,
    start,
    parent: Number(parent),
    session: Number(fields[3]),
    isDead: state === 'Z' || state === 'X',
  };
}

async function environmentOf(pid: number): Promise<readonly string[]> {
  return (await readFile(`/proc/${pid}/environ`, 'latin1').catch(() => '')).split('\0');
}
