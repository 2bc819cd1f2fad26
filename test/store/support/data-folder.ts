import { execFile } from 'node:child_process';
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const execFileAsync = promisify(execFile);

export interface DataFolder extends AsyncDisposable {
  readonly path: string;
}

/** A temporary folder that others may pass through; what still runs on a database below it is killed in the end. */
export async function makeDataFolder(): Promise<DataFolder> {
  const path = await mkdtemp(join(tmpdir(), 'qlab-data-'));
  await chmod(path, 0o711);
  return {
    path,
    [Symbol.asyncDispose]: async () => {
      const { stdout } = await execFileAsync('find', [path, '-name', 'postmaster.pid']);
      for (const file of stdout.split('\n').filter((line) => line !== '')) {
        // Empty while it is made, and negative of a server that only initdb talks to: as they are, they name whole groups of processes.
        const pid = Math.abs(Number.parseInt(await readFile(file, 'utf8').catch(() => ''), 10));
        if (!(pid > 0)) continue;
        try {
          process.kill(pid, 'SIGKILL');
        } catch {
          // It has ended meanwhile.
        }
      }
      await rm(path, { recursive: true, force: true, maxRetries: 10 });
    },
  };
}

/** Which user a process runs as. */
export async function uidOf(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^Uid:\s+(\d+)/m.exec(status)?.[1]);
}
