import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startBareWorker } from '../lab/bare-worker.ts';
import { startFarm } from '../lab/farm.ts';
import { quantile, type Row } from './row.ts';

const RUNS = 300;
/** A name, the part of the builds that are faster, and the goal in milliseconds. */
const GOALS = [
  ['p50', 0.5, 10],
  ['p99', 0.99, 50],
] as const;

/**
 * From the moment a client sends a build to the moment a worker is called with it: idle workers that answer at once, one build
 * after the other, over the real HTTP API, PostgreSQL and WAMP.
 */
export async function benchHandOver(): Promise<Row[]> {
  const rows: Row[] = [];
  for (const workers of [1, 100]) rows.push(...(await handOver(workers)));
  return rows;
}

async function handOver(workers: number): Promise<Row[]> {
  const directory = await mkdtemp(join(tmpdir(), 'bench-hand-over-'));
  try {
    await using farm = await startFarm({ directory });
    await using stack = new AsyncDisposableStack();
    let called = (): void => undefined;
    for (let worker = 0; worker < workers; worker += 1) {
      stack.use(
        await startBareWorker({
          url: farm.wampUrl,
          onBuild: () => {
            called();
            return Promise.resolve({
              error: 'io.quay.builder.builderror',
              kwargs: { base_error: 'measured' },
            });
          },
        }),
      );
    }
    const times: number[] = [];
    for (let run = 0; run < RUNS; run += 1) {
      const begun = performance.now();
      const isCalled = new Promise<void>((resolve) => {
        called = () => {
          times.push(performance.now() - begun);
          resolve();
        };
      });
      const answer = await fetch(`${farm.url}/api/v1/builds`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({
          repository: 'bench/app',
          build_package: 'http://127.0.0.1:9/never-fetched.tar',
        }),
      });
      if (!answer.ok) throw new Error(`the manager refused a build: ${await answer.text()}`);
      await isCalled;
    }
    const baseline = `${RUNS} builds, one after the other, ${workers} idle ${workers === 1 ? 'worker' : 'workers'}`;
    return GOALS.map(([name, part, goal]) => {
      const value = quantile(times, part);
      const title = `submit to the worker being called, ${workers} idle, ${name}`;
      return { name: title, value, unit: 'ms', baseline, goal: `≤ ${goal} ms`, met: value <= goal };
    });
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
