import { readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from './process.ts';

/**
 * What an engine of the lab leaves when it, or who started it, was killed: containers and their shims, mounts, a folder, a bridge.
 * Names carry the pid of who started it, so that whoever comes next can tell an orphan from a neighbour.
 */

const FOLDER = /^qlab-(\d+)-/;
const BRIDGE = /^qlab(\d+)-/;
const CONTAINER_ID = /[0-9a-f]{64}/;

/** For `mkdtemp`. */
export function folderPrefix(): string {
  return join(tmpdir(), `qlab-${process.pid}-`);
}

/** A name for a bridge: at most 15 characters, as Linux wants it. */
export function bridgeName(suffix: string): string {
  return `qlab${process.pid}-${suffix}`;
}

/** A name for a network namespace. */
export function namespaceName(suffix: string): string {
  return `qlab-${process.pid}-${suffix}`;
}

/** Ends what was started below a folder, and removes it. */
export async function removeWithProcesses(directory: string): Promise<void> {
  await endProcessesOf(directory);
  await unmountBelow(directory);
  // What was killed may take a moment to leave it.
  await rm(directory, { recursive: true, force: true, maxRetries: 20 });
}

/** Detaches what a killed engine left mounted below a folder: it could not be removed else. */
export async function unmountBelow(directory: string): Promise<void> {
  const mounts = await readFile('/proc/self/mounts', 'utf8');
  const below = mounts
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '')
    .filter((path) => path.startsWith(`${directory}/`));
  for (const path of below.reverse()) await run('umount', ['--lazy', path]).catch(() => undefined);
}

/** Removes the folders, bridges and network namespaces of those who are no more. */
export async function sweepOrphans(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    if (isOrphan(FOLDER.exec(name))) await removeWithProcesses(join(tmpdir(), name)).catch(() => undefined);
  }
  const bridges = await readdir('/sys/class/net');
  for (const name of bridges) {
    if (isOrphan(BRIDGE.exec(name))) await run('ip', ['link', 'del', name]).catch(() => undefined);
  }
  // The folder comes with the first namespace of a machine.
  for (const name of await readdir('/run/netns').catch(() => [])) {
    if (isOrphan(FOLDER.exec(name))) await run('ip', ['netns', 'del', name]).catch(() => undefined);
  }
}

function isOrphan(match: RegExpExecArray | null): boolean {
  if (!match) return false;
  try {
    process.kill(Number(match[1]), 0);
    return false;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'ESRCH';
  }
}

/**
 * Kills the shims that name the folder on their command line, the processes of their containers, and those whose root file system
 * lies in it: Podman's steps have no shim.
 */
async function endProcessesOf(directory: string): Promise<void> {
  const processes = await Promise.all(
    (await readdir('/proc'))
      .filter((name) => /^\d+$/.test(name))
      .map(async (name) => ({
        pid: Number(name),
        command: await readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => ''),
        cgroup: await readFile(`/proc/${name}/cgroup`, 'utf8').catch(() => ''),
        mounts: await readFile(`/proc/${name}/mounts`, 'utf8').catch(() => ''),
      })),
  );
  const ours = processes.filter(({ command }) => command.includes(`${directory}/`));
  const containers = ours.flatMap(({ command }) => CONTAINER_ID.exec(command)?.[0] ?? []);
  for (const { pid, command, cgroup, mounts } of processes) {
    const root = mounts.split('\n').find((line) => line.split(' ')[1] === '/') ?? '';
    const isOurs =
      command.includes(`${directory}/`) ||
      root.includes(`${directory}/`) ||
      containers.some((id) => cgroup.includes(id));
    if (!isOurs || pid === process.pid) continue;
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended meanwhile.
    }
  }
}
