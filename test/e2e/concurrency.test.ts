import { afterAll, beforeAll, expect, it } from 'vitest';
import { workerListSchema } from '../../src/contract/api.ts';
import { ended, followUntil, startE2e, submit, type E2e } from './support.ts';

/** A worker of two slots. */

let e2e: E2e;
beforeAll(async () => {
  e2e = await startE2e();
  await e2e.farm.startWorker(e2e.engine, { CONCURRENCY: '2', WORKER_ID: 'twins' });
});
afterAll(() => e2e[Symbol.asyncDispose]());

it('runs two builds side by side, each in a realm of its own, on one engine', async () => {
  const { farm } = e2e;
  const workers = async (): Promise<unknown[]> =>
    workerListSchema.parse(await (await fetch(`${farm.url}/api/v1/workers`)).json()).workers;
  await expect.poll(workers).toMatchObject([
    { id: 'twins', slot: 0, slots: 2 },
    { id: 'twins', slot: 1, slots: 2 },
  ]);
  const dockerfile = (own: string): Uint8Array<ArrayBuffer> =>
    new TextEncoder().encode(`FROM busybox:stable\nRUN echo ${own} has begun; sleep 2\n`);
  const builds = [
    await submit(farm, { repository: 'team/one' }, dockerfile('one')),
    await submit(farm, { repository: 'team/two' }, dockerfile('two')),
  ];
  await Promise.all(
    builds.map(({ id }) => followUntil(farm, id, (events) => events.includes('has begun\\n'))),
  );
  for (const { id } of builds) expect(await ended(farm, id)).toMatchObject({ state: 'complete' });
  const [first, second] = await Promise.all(builds.map(({ id }) => ended(farm, id)));
  expect(new Set([first?.tries[0]?.worker, second?.tries[0]?.worker])).toEqual(
    new Set(['twins/0', 'twins/1']),
  );
  expect(Date.parse(second?.started_at ?? '')).toBeLessThan(Date.parse(first?.ended_at ?? ''));
});
