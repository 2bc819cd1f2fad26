import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:fs';
import { access, mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { WORKER_ID_MAX_LENGTH } from '../../../contract/extensions.ts';
import { reasonOf } from '../../../contract/reason.ts';
import { createExecutor } from '../driver.ts';
import {
  ExecutorError,
  type Executor,
  type ExecutorSettings,
  type StartedWorker,
  type WorkerOrder,
} from '../executor.ts';
import { PROCESS_LOOK_MS, WORKER_LOG_END_BYTES } from '../limits.ts';
import { familyOf, identify, isRunning, signalProcess, type ProcessId } from './family.ts';
import { openRecords, type WorkerRecord, type WorkerRecords } from './records.ts';

export interface ProcessExecutorOptions {
  readonly settings: ExecutorSettings;
  /** The manager's name: its workers are told apart by it from those of others. */
  readonly manager: string;
  /** A folder of this executor's own: records, logs, and the workers' `WORK_DIR`. */
  readonly directory: string;
  /** The worker's program, `bin/quay-builder`. */
  readonly program: string;
  /** What its workers are told beside realm, token and server, `DOCKER_HOST` for example. Nothing of the manager's own environment but `PATH`. */
  readonly environment: Readonly<Record<string, string>>;
  /** How long a worker that is stopped may take to leave, in milliseconds; then it is killed with all it has started. */
  readonly leaveWithinMs: number;
}

/** In the environment of each worker and of what it starts. */
const MARK = 'EXECUTOR_WORKER';

/**
 * Waits for a line before it becomes the worker: without that its record was not written, as when the manager was killed just then,
 * and it goes.
 */
const LAUNCHER = 'read -r go && exec "$0" </dev/null';

/**
 * Runs workers as processes of this machine, each the leader of a session and a process group. A record, its number and its start, says which they
 * are; it is on the disk before the worker's program runs.
 *
 * Fails with an ExecutorError when the program or the folder cannot be used.
 */
export async function openProcessExecutor(options: ProcessExecutorOptions): Promise<Executor> {
  const { settings, directory, program, leaveWithinMs } = options;
  await access(program, constants.X_OK).catch((cause: unknown) => {
    throw new ExecutorError('failed', `the executor ${settings.name} has no worker to start: ${program}`, {
      cause,
    });
  });
  const records = await openRecords(join(directory, 'workers'));
  await mkdir(join(directory, 'work'), { recursive: true, mode: 0o700 });
  /** How those ended that are children of this process. */
  const reasons = new Map<string, string>();

  return createExecutor(settings, {
    async begin(order) {
      const place = freePlace(await records.list());
      try {
        const child = await launch(order, place, options, records);
        child.once('exit', (code, signal) => reasons.set(order.id, howItEnded(code, signal)));
      } catch (error) {
        await records.remove(order.id);
        throw failure(settings, 'start', error);
      }
    },
    // It has its record, so it was told to go on.
    again: () => Promise.resolve(),
    async end(id) {
      try {
        const record = await records.find(id);
        if (record === null) return;
        await endFamily(record, leaveWithinMs);
        await records.remove(id);
        reasons.delete(id);
      } catch (error) {
        throw failure(settings, 'stop', error);
      }
    },
    async list() {
      try {
        return await Promise.all((await records.list()).map((record) => look(record, records, reasons)));
      } catch (error) {
        throw failure(settings, 'find', error);
      }
    },
  });
}

/** Starts the launcher, writes the record, and lets it become the worker. */
async function launch(
  order: WorkerOrder,
  place: number,
  { settings, manager, directory, program, environment }: ProcessExecutorOptions,
  records: WorkerRecords,
): Promise<ReturnType<typeof spawn>> {
  const log = await open(records.logOf(order.id), 'w', 0o600);
  try {
    const child = spawn('/bin/sh', ['-c', LAUNCHER, program], {
      cwd: directory,
      detached: true,
      stdio: ['pipe', log.fd, log.fd],
      env: {
        PATH: process.env['PATH'],
        LOG_FORMAT: 'json',
        WORK_DIR: join(directory, 'work'),
        // One that takes the place of another finds what that one left in WORK_DIR, and on the engine.
        WORKER_ID: workerIdOf(settings.name, place, manager),
        ...environment,
        SERVER: order.server,
        REALM: order.realm,
        TOKEN: order.token,
        [MARK]: order.id,
      },
    });
    await once(child, 'spawn');
    const identity = child.pid === undefined ? null : await identify(child.pid);
    if (identity === null || child.stdin === null) throw new Error('its process ended at once');
    // One that is gone already is seen by its exit.
    child.stdin.on('error', () => undefined);
    try {
      await records.write({ id: order.id, process: identity, place });
    } catch (error) {
      child.stdin.end();
      throw error;
    }
    child.unref();
    child.stdin.end('go\n');
    return child;
  } finally {
    await log.close();
  }
}

/** `local-0.manager-1`, in letters that the setting takes, whatever a machine is called that has given the manager its name. */
function workerIdOf(executor: string, place: number, manager: string): string {
  return `${executor}-${place}.${manager.replaceAll(/[^\w.-]/g, '-')}`.slice(0, WORKER_ID_MAX_LENGTH);
}

/** The lowest number that no worker has. */
function freePlace(records: readonly WorkerRecord[]): number {
  const taken = new Set(records.map(({ place }) => place));
  let place = 0;
  while (taken.has(place)) place += 1;
  return place;
}

async function look(
  { id, process: leader }: WorkerRecord,
  records: WorkerRecords,
  reasons: ReadonlyMap<string, string>,
): Promise<StartedWorker> {
  if (await isRunning(leader)) return { id, state: 'running', reason: null };
  const end = await endOf(records.logOf(id));
  const reason = reasons.get(id) ?? 'it ended while no manager looked';
  return { id, state: 'ended', reason: end === '' ? reason : `${reason}: ${end}` };
}

/** The end of a worker's own log, which has no secrets. */
async function endOf(path: string): Promise<string> {
  const file = await open(path, 'r').catch(() => null);
  if (file === null) return '';
  try {
    const { size } = await file.stat();
    const { buffer, bytesRead } = await file.read({
      buffer: Buffer.alloc(WORKER_LOG_END_BYTES),
      position: Math.max(0, size - WORKER_LOG_END_BYTES),
    });
    return buffer.toString('utf8', 0, bytesRead).trim();
  } finally {
    await file.close();
  }
}

/** Asks a worker to leave, and kills what is left of it and of all it has started. */
async function endFamily({ id, process: leader }: WorkerRecord, leaveWithinMs: number): Promise<void> {
  const mark = `${MARK}=${id}`;
  if (await isRunning(leader)) {
    // Its children are found by it, and would not be when it is gone.
    const family = await familyOf(leader, mark);
    signalProcess(leader.pid, 'SIGINT');
    const late = Date.now() + leaveWithinMs;
    while (Date.now() < late && (await isRunning(leader))) await sleep(PROCESS_LOOK_MS);
    await killAll(family);
  }
  for (;;) {
    const left = await familyOf(leader, mark);
    if (left.length === 0) return;
    await killAll(left);
    await sleep(PROCESS_LOOK_MS);
  }
}

async function killAll(family: readonly ProcessId[]): Promise<void> {
  for (const each of family) if (await isRunning(each)) signalProcess(each.pid, 'SIGKILL');
}

function howItEnded(code: number | null, signal: NodeJS.Signals | null): string {
  return signal === null ? `it ended with exit code ${String(code)}` : `it was ended by ${signal}`;
}

function failure({ name }: ExecutorSettings, what: string, error: unknown): ExecutorError {
  // Of files and processes: their messages hold paths and no environment.
  const reason = reasonOf(error);
  return new ExecutorError('failed', `the executor ${name} could not ${what} a worker: ${reason}`, {
    cause: error,
  });
}
