import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEngine } from '../lab/engine.ts';
import { startFarm } from '../lab/farm.ts';
import { run } from '../lab/process.ts';
import { residentBytes } from './child.ts';
import { median, type Row } from './row.ts';

const RUNS = 15;
const GOAL_MS = 250;
const GOAL_MB = 80;

/**
 * From the start of `bin/quay-builder` to its `worker is ready`: the settings read, the engine asked what it is, and the manager's realm joined.
 * Against the start of a Node that does nothing, in turn.
 */
export async function benchWorkerStart(): Promise<Row[]> {
  const directory = await mkdtemp(join(tmpdir(), 'bench-worker-start-'));
  try {
    await using engine = await startEngine();
    await using farm = await startFarm({ directory });
    const ready: number[] = [];
    const bare: number[] = [];
    const memory: number[] = [];
    for (let round = 0; round < RUNS; round += 1) {
      const begun = performance.now();
      const worker = await farm.startWorker(engine);
      ready.push(performance.now() - begun);
      memory.push((await residentBytes(worker.pid)) / 1e6);
      await worker.stop();
      const bareBegun = performance.now();
      await run(process.execPath, ['-e', '0']);
      bare.push(performance.now() - bareBegun);
    }
    const [ms, bareMs] = [median(ready), median(bare)];
    const baseline = `a Node that does nothing, ${bareMs.toFixed(0)} ms; medians of ${RUNS}`;
    const megabytes = median(memory);
    return [
      {
        name: 'start of quay-builder to ready',
        value: ms,
        unit: 'ms',
        baseline,
        goal: `≤ ${GOAL_MS} ms`,
        met: ms <= GOAL_MS,
      },
      {
        name: 'resident memory of quay-builder at ready',
        value: megabytes,
        unit: 'MB',
        baseline,
        goal: `≤ ${GOAL_MB} MB`,
        met: megabytes <= GOAL_MB,
      },
    ];
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
