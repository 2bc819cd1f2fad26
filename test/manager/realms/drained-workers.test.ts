import { afterAll, beforeAll, expect, it } from 'vitest';
import { startBareWorker, type BareWorker } from '../../../lab/bare-worker.ts';
import type { LabFarm } from '../../../lab/farm.ts';
import {
  workerHistorySchema,
  workerListSchema,
  type Build,
  type WorkerHistory,
  type WorkerList,
} from '../../../src/contract/api.ts';
import { cli, startCli } from '../../cli/support/cli.ts';
import { ended, show, submit } from '../../e2e/support.ts';
import { startTwoManagers, type TwoManagers } from '../support/two-managers.ts';

/** Workers that are drained, resumed and forgotten at one manager while they are connected to another. */

let managers: TwoManagers | undefined;
let farm: LabFarm;
let other: LabFarm;
beforeAll(async () => {
  managers = await startTwoManagers();
  ({ first: farm, second: other } = managers);
});
afterAll(() => managers?.[Symbol.asyncDispose]());

const BUILD = { repository: 'team/app', build_package: 'http://127.0.0.1:9/package.tar' };
const complete = { result: { image_id: 'sha256:0', digests: [] } };
const soon = { timeout: 60_000 };

interface TestWorker {
  readonly worker: BareWorker;
  /** Waits until the worker has a build, and ends it. */
  readonly end: () => Promise<void>;
}

/** A connected worker, whose builds go on until the test ends them. */
async function startWorker(id: string | null): Promise<TestWorker> {
  const ends: (() => void)[] = [];
  const worker = await startBareWorker({
    url: farm.wampUrl,
    ...(id === null
      ? {}
      : { hello: { worker: { id, slot: 0, slots: 1, labels: {}, kinds: ['image'] }, extensions: [] } }),
    onBuild: () => new Promise((resolve) => ends.push(() => resolve(complete))),
  });
  const end = async (): Promise<void> => {
    await expect.poll(() => ends.length, soon).toBeGreaterThan(0);
    ends.shift()?.();
  };
  return { worker, end };
}

async function ask(method: string, path: string): Promise<Response> {
  return fetch(`${other.url}/api/v1/workers/${path}`, { method });
}

async function known(id: string): Promise<WorkerHistory> {
  return workerHistorySchema.parse(await (await ask('GET', id)).json());
}

async function stateOf(id: string): Promise<WorkerHistory['state']> {
  return (await known(id)).state;
}

async function listed(): Promise<WorkerList> {
  return workerListSchema.parse(await (await fetch(`${farm.url}/api/v1/workers`)).json());
}

/**
 * The tries that these workers had. To one that left a moment ago, as that of the test before, a build may still have been given by a
 * claim that was under way: it goes back at once.
 */
async function triesOf(id: string, workers: readonly string[]): Promise<Build['tries']> {
  const slots = workers.map((worker) => `${worker}/0`);
  return (await show(farm, id)).tries.filter(({ worker }) => worker !== null && slots.includes(worker));
}

it('a drained worker ends what it has and gets no more, also when it comes back, until it is resumed', async () => {
  const { worker, end } = await startWorker('one');
  const first = await submit(farm, BUILD);
  await expect.poll(() => stateOf('one'), soon).toBe('busy');
  const draining = startCli(['workers', 'drain', 'one', '--wait'], { url: other.url });
  await draining.printed(/one is draining: waiting for 1 build/);
  expect(await stateOf('one')).toBe('draining');
  const second = await submit(other, BUILD);
  await end();
  expect(await draining.ended).toMatchObject({ code: 0, stdout: 'one is drained\n' });
  expect(await ended(farm, first.id)).toMatchObject({ state: 'complete' });
  await worker[Symbol.asyncDispose]();
  const { worker: again, end: endSecond } = await startWorker('one');
  await using _again = again;
  // Whoever is not drained takes what waits.
  const { worker: another, end: endThird } = await startWorker('another');
  await using _another = another;
  await expect.poll(() => stateOf('another'), soon).toBe('busy');
  expect(await show(farm, second.id)).toMatchObject({ tries: [{ worker: 'another/0' }] });
  const third = await submit(farm, BUILD);
  await expect.poll(() => stateOf('one'), soon).toBe('drained');
  await expect.poll(listed, soon).toMatchObject({
    workers: [{ id: 'another' }, { id: 'one', state: 'drained' }],
    drained: [{ id: 'one', drained_by: 'anonymous' }],
  });
  expect((await cli(['workers', 'resume', 'one'], { url: other.url })).stdout).toMatch(
    /^one is (ready|busy)\n$/,
  );
  await expect.poll(() => stateOf('one'), soon).toBe('busy');
  expect(await show(farm, third.id)).toMatchObject({ tries: [{ worker: 'one/0' }] });
  await endSecond();
  await endThird();
  for (const { id } of [second, third])
    expect(await ended(farm, id)).toMatchObject({ state: 'complete', tries: [{ outcome: 'complete' }] });
});

it('a forgotten worker is thrown out at once, and another takes its build', async () => {
  const { worker } = await startWorker('gone');
  const { id } = await submit(farm, BUILD);
  await expect.poll(() => known('gone'), soon).toMatchObject({ state: 'busy', slots: [{ build_id: id }] });
  const { worker: another, end } = await startWorker('heir');
  await using _another = another;
  expect(await (await ask('DELETE', 'gone')).json()).toEqual({ id: 'gone', slots: 1, builds: [id] });
  await worker.closed;
  await expect.poll(() => stateOf('heir'), soon).toBe('busy');
  await end();
  expect(await ended(other, id)).toMatchObject({ state: 'complete' });
  expect(await triesOf(id, ['gone', 'heir'])).toMatchObject([
    {
      worker: 'gone/0',
      outcome: 'lost',
      error: { base_error: 'The worker gone was forgotten by anonymous.' },
    },
    { worker: 'heir/0', outcome: 'complete' },
  ]);
  const back = startBareWorker({
    url: farm.wampUrl,
    realm: worker.realm,
    onBuild: () => Promise.resolve(complete),
  });
  await expect(back).rejects.toThrow('wamp.error.no_such_realm');
  await expect.poll(() => stateOf('gone'), soon).toBe('away');
  expect((await ask('DELETE', 'gone')).status).toBe(404);
});

it('a worker without a name is drained by the id that is shown', async () => {
  const { worker } = await startWorker(null);
  await using _worker = worker;
  const unnamed = async (): Promise<{ id: string; state: string } | undefined> =>
    (await listed()).workers.find(({ id }) => id.startsWith('unnamed-'));
  await expect.poll(unnamed, soon).toMatchObject({ state: 'ready' });
  const id = (await unnamed())?.id ?? '';
  expect((await ask('POST', `${id}/drain`)).status).toBe(200);
  const { id: build } = await submit(farm, BUILD);
  const { worker: another, end } = await startWorker('named');
  await using _another = another;
  await expect.poll(() => stateOf('named'), soon).toBe('busy');
  await end();
  expect(await ended(farm, build)).toMatchObject({ state: 'complete' });
  expect(await triesOf(build, [id, 'named'])).toMatchObject([{ worker: 'named/0' }]);
  await expect.poll(unnamed, soon).toMatchObject({ state: 'drained' });
});
