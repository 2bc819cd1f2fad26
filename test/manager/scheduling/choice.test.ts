import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startBareWorker } from '../../../lab/bare-worker.ts';
import { startFarm, type LabFarm } from '../../../lab/farm.ts';
import { workerListSchema, type BuildRequestBody } from '../../../src/contract/api.ts';
import { show, submit } from '../../e2e/support.ts';

/** Which of the workers that are ready gets a build, by a manager as operators run it. */

let directory: string;
let farm: LabFarm;
const workers = new AsyncDisposableStack();
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'qlab-choice-'));
  farm = await startFarm({ directory });
  for (const zone of ['north', 'south']) {
    workers.use(
      await startBareWorker({
        url: farm.wampUrl,
        hello: { extensions: [], worker: { id: zone, labels: { zone } } },
        onBuild: async (_kwargs, worker) => {
          await worker.enterPhase('building');
          return { error: 'io.quay.builder.builderror', kwargs: { base_error: 'of the test' } };
        },
      }),
    );
  }
});
afterAll(async () => {
  await workers.disposeAsync();
  await farm.stop();
  await rm(directory, { recursive: true, force: true });
});

/** Has a build made while both workers are ready; answers with the worker that got it. */
async function workerOf(asks: Partial<BuildRequestBody>): Promise<string | null | undefined> {
  const states = async (): Promise<string[]> =>
    workerListSchema
      .parse(await (await fetch(`${farm.url}/api/v1/workers`)).json())
      .workers.map(({ state }) => state);
  await expect.poll(states).toEqual(['ready', 'ready']);
  const { id } = await submit(farm, {
    repository: 'team/app',
    build_package: 'http://127.0.0.1:9/package.tar',
    ...asks,
  });
  await expect.poll(async () => (await show(farm, id)).state).toBe('error');
  return (await show(farm, id)).tries[0]?.worker;
}

it.each(['north', 'south', 'north'])('a build that asks for the zone %s is made there', async (zone) => {
  expect(await workerOf({ worker_labels: [`zone=${zone}`], repository: `team/${zone}` })).toBe(`${zone}/0`);
});

it.each(['south', 'north'])(
  'a repository that was built in the zone %s is built there again',
  async (zone) => {
    const repository = `team/warm-${zone}`;
    await workerOf({ worker_labels: [`zone=${zone}`], repository });
    expect(await workerOf({ repository })).toBe(`${zone}/0`);
  },
);
