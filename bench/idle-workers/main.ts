import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { startFarm } from '../../lab/farm.ts';
import { ask, endChildren, processorSeconds, residentBytes, startChild } from '../child.ts';
import type { Row } from '../row.ts';
import type { WorkersReply, WorkersRequest } from './messages.ts';

const WORKERS = 10_000;
const PROCESSES = 2;
/** Until what connecting them took is cleared away, and then for as long as is measured. */
const SETTLE_MS = 8_000;
const MEASURED_MS = 15_000;
const GOAL_KIB = 25;
const GOAL_CORES = 0.5;

/**
 * Ten thousand connected workers that have nothing to do, deployed ones with a heartbeat a second: what each costs the manager in memory,
 * and all of them in processor time. The manager is the real one, with its PostgreSQL, whose time is not counted.
 */
export async function benchIdleWorkers(): Promise<Row[]> {
  const directory = await mkdtemp(join(tmpdir(), 'bench-idle-workers-'));
  const children = Array.from({ length: PROCESSES }, () =>
    startChild(new URL('./workers.ts', import.meta.url)),
  );
  try {
    await using farm = await startFarm({ directory });
    const { pid } = farm.manager;
    const connected = async (make: (process: number) => WorkersRequest): Promise<number> => {
      const replies = await Promise.all(
        children.map((child, index) => ask<WorkersReply>(child, make(index))),
      );
      return replies.reduce((sum, reply) => sum + reply.connected, 0);
    };
    const before = await residentBytes(pid);
    await connected((process) => ({
      type: 'connect',
      url: farm.wampUrl,
      workers: WORKERS / PROCESSES,
      firstAddress: 1 + process * 100,
    }));
    await setTimeout(SETTLE_MS);
    const [usedBefore, begun] = [await processorSeconds(pid), performance.now()];
    await setTimeout(MEASURED_MS);
    const cores = ((await processorSeconds(pid)) - usedBefore) / ((performance.now() - begun) / 1000);
    const kib = ((await residentBytes(pid)) - before) / WORKERS / 1024;
    const left = await connected(() => ({ type: 'count' }));
    if (left < WORKERS) throw new Error(`${WORKERS - left} of ${WORKERS} idle workers lost their connection`);
    const baseline = `the manager without workers, ${(before / 1e6).toFixed(0)} MB; ${WORKERS} workers, a heartbeat a second each, for ${MEASURED_MS / 1000} s`;
    return [
      {
        name: 'memory of an idle worker at the manager',
        value: kib,
        unit: 'KiB',
        baseline,
        goal: `≤ ${GOAL_KIB} KiB`,
        met: kib <= GOAL_KIB,
      },
      {
        name: `processor time of ${WORKERS} idle workers at the manager`,
        value: cores,
        unit: 'cores',
        baseline,
        goal: `≤ ${GOAL_CORES} cores`,
        met: cores <= GOAL_CORES,
      },
    ];
  } finally {
    await endChildren(...children);
    await rm(directory, { recursive: true, force: true });
  }
}
