import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openContainerExecutor } from './container/container-executor.ts';
import type { Executor, ExecutorSettings } from './executor.ts';
import type { ExecutorEntry } from './executors-file.ts';
import { openProcessExecutor } from './process/process-executor.ts';

export interface ExecutorSurroundings {
  /** This manager's name among several. */
  readonly manager: string;
  /** A folder of this manager's own, where its executors keep what they need after a crash. */
  readonly directory: string;
  /** The worker's program, for those that start processes. */
  readonly program: string;
  /** How long a worker that is stopped may take to leave, in milliseconds. */
  readonly leaveWithinMs: number;
}

/**
 * Opens an executor that an operator described, and with it what an earlier life of this manager left there.
 *
 * @throws ExecutorError when the machine lacks what it needs.
 */
export async function openExecutor(
  entry: ExecutorEntry,
  { manager, directory, program, leaveWithinMs }: ExecutorSurroundings,
): Promise<Executor> {
  const settings: ExecutorSettings = {
    name: entry.name,
    capacity: entry.capacity,
    setupSeconds: entry.setup_seconds,
    lifetimeSeconds: entry.lifetime_seconds,
    labels: entry.labels,
    extensions: entry.extensions,
    namespaces: entry.namespaces,
    server: entry.server,
  };
  const { environment } = entry;
  switch (entry.type) {
    case 'process':
      return openProcessExecutor({
        settings,
        manager,
        directory: join(directory, entry.name),
        program,
        environment,
        leaveWithinMs,
      });
    case 'container':
      return openContainerExecutor({
        settings,
        owner: await ownerOf(directory),
        socket: entry.engine.slice('unix://'.length),
        image: entry.image,
        mountedSocket: entry.socket,
        network: entry.network,
        memory: entry.memory_bytes,
        cpus: entry.cpus,
        processes: entry.processes,
        environment,
        leaveWithinMs,
      });
  }
}

/** Names this manager among all that may use an engine, in every life: made at its first start. */
async function ownerOf(directory: string): Promise<string> {
  const path = join(directory, 'owner');
  const found = await readFile(path, 'utf8').catch(() => '');
  if (found !== '') return found;
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const owner = randomUUID();
  await writeFile(`${path}.draft`, owner, { mode: 0o600 });
  await rename(`${path}.draft`, path);
  return owner;
}
