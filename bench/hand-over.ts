import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startBareWorker } from '../lab/bare-worker.ts';
import { startFarm } from '../lab/farm.ts';
import { quantile, type Row } from './row.ts';

const RUNS = 300;

/**
 * From the moment a client sends a build to the moment its worker is called with it: one idle worker that answers at once, one
 * build after the other, over the real HTTP API, PostgreSQL and WAMP.
 */
export async function benchHandOver(): Promise<Row[]> {
  const directory = await mkdtemp(join(tmpdir(), 'bench-hand-over-'));
  try {
    await using farm = await startFarm({ directory });
    let called = (): void => undefined;
    await using _worker = await startBareWorker({
      url: farm.wampUrl,
      onBuild: () => {
        called();
        return Promise.resolve({ error: 'io.quay.builder.builderror', kwargs: { base_error: 'measured' } });
      },
    });
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
    const p50 = quantile(times, 0.5);
    const p99 = quantile(times, 0.99);
    const baseline = `${RUNS} builds, one after the other, one idle worker`;
    return [
      {
        name: 'submit to the worker being called, p50',
        value: p50,
        unit: 'ms',
        baseline,
        goal: '≤ 10 ms',
        met: p50 <= 10,
      },
      {
        name: 'submit to the worker being called, p99',
        value: p99,
        unit: 'ms',
        baseline,
        goal: '≤ 50 ms',
        met: p99 <= 50,
      },
    ];
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
