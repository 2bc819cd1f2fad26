import { randomUUID } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import { limits } from '../limits.ts';

/** A name for a control group that nobody else has. */
export function newControlGroup(): string {
  return `/quay-builder-${randomUUID()}`;
}

/**
 * Ends the processes of a control group, and those that are begun in it meanwhile: Podman lets the step of a build that is aborted
 * run to its end. One that is on another machine, or in another container's view of this one, is out of reach.
 */
export async function endControlGroup(name: string): Promise<void> {
  let quiet = 0;
  for (let looks = 0; looks < limits.stepLooks && quiet < limits.quietStepLooks; looks += 1) {
    const processes = await processesOf(name);
    quiet = processes.length === 0 ? quiet + 1 : 0;
    for (const id of processes) {
      try {
        process.kill(id, 'SIGKILL');
      } catch {
        // It has ended meanwhile, or is not ours to end.
      }
    }
    await setTimeout(limits.stepLookEveryMs);
  }
}

async function processesOf(name: string): Promise<number[]> {
  const ids = (await readdir('/proc').catch(() => [])).filter((entry) => /^\d+$/.test(entry));
  const groups = await Promise.all(
    ids.map((id) => readFile(`/proc/${id}/cgroup`, 'utf8').catch(() => 'it has ended')),
  );
  return ids.filter((_id, index) => groups[index]?.includes(name)).map(Number);
}
