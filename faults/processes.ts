import { readdir, readFile } from 'node:fs/promises';

/** A process of this machine, as /proc shows it. */
export interface RunningProcess {
  readonly pid: number;
  readonly parent: number;
  readonly command: string;
  readonly environment: ReadonlyMap<string, string>;
}

/** All processes. One that ends while it is looked at is left out. */
export async function runningProcesses(): Promise<readonly RunningProcess[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(pids.map((pid) => look(Number(pid)).catch(() => null)));
  return found.filter((each) => each !== null);
}

async function look(pid: number): Promise<RunningProcess> {
  const [command, environment, stat] = await Promise.all(
    ['cmdline', 'environ', 'stat'].map((name) => readFile(`/proc/${pid}/${name}`, 'utf8')),
  );
  return {
    pid,
    // After the program's name, in parentheses, come its state and its parent.
    parent: Number(stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[1]),
    command: command?.replaceAll('\0', ' ').trim() ?? '',
    environment: new Map(
      environment?.split('\0').map((pair): [string, string] => {
        const at = pair.indexOf('=');
        return [pair.slice(0, at), pair.slice(at + 1)];
      }),
    ),
  };
}

/** Sends a signal to those that are still there. */
export function signalAll(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch {
      // It has ended meanwhile.
    }
  }
}
