import { afterAll, beforeAll, expect, it } from 'vitest';
import { workerListSchema } from '../../src/contract/api.ts';
import { startProxyServer } from '../../lab/proxy-server.ts';
import { endlessBuild, followUntil, hasBegun, letGo, startE2e, submit, type E2e } from './support.ts';

/** A worker of two slots. */

let e2e: E2e;
beforeAll(async () => {
  e2e = await startE2e();
  await e2e.farm.startWorker(e2e.engine, { CONCURRENCY: '2', WORKER_ID: 'twins' });
});
afterAll(() => e2e[Symbol.asyncDispose]());

/** Submits a build that goes on until it is let go. */
async function begin(repository: string): Promise<{ id: string; command: string }> {
  const { dockerfile, command } = endlessBuild();
  const { id } = await submit(e2e.farm, { repository }, dockerfile);
  return { id, command };
}

it('runs two builds side by side, each in a realm of its own, on one engine', async () => {
  const { farm } = e2e;
  const workers = async (): Promise<unknown[]> =>
    workerListSchema.parse(await (await fetch(`${farm.url}/api/v1/workers`)).json()).workers;
  await expect.poll(workers).toMatchObject([
    { id: 'twins', slot: 0, slots: 2 },
    { id: 'twins', slot: 1, slots: 2 },
  ]);
  const builds = [await begin('team/one'), await begin('team/two')];
  await Promise.all(builds.map(({ id }) => followUntil(farm, id, hasBegun)));
  const [first, second] = await Promise.all(builds.map(({ id, command }) => letGo(farm, id, command)));
  for (const build of [first, second]) expect(build).toMatchObject({ state: 'complete' });
  expect(new Set([first?.tries[0]?.worker, second?.tries[0]?.worker])).toEqual(
    new Set(['twins/0', 'twins/1']),
  );
});

it('reaches its manager, and a package that was uploaded there, through a proxy', async () => {
  await using proxy = await startProxyServer({ username: 'quay', password: 'pass-word' });
  const { farm, engine } = e2e;
  const behind = await farm.startWorker(engine, {
    HTTP_PROXY: proxy.url.replace('://', '://quay:pass-word@'),
    CONCURRENCY: '3',
    WORKER_ID: 'behind-a-proxy',
  });
  expect(proxy.requests).toContain(`CONNECT ${new URL(farm.wampUrl).host}`);
  // All five slots build at once.
  const builds = await Promise.all(Array.from({ length: 5 }, () => begin('team/proxied')));
  await Promise.all(builds.map(({ id }) => followUntil(farm, id, hasBegun)));
  const all = await Promise.all(builds.map(({ id, command }) => letGo(farm, id, command)));
  expect(all.map(({ state }) => state)).toEqual(Array.from(builds, () => 'complete'));
  expect(all.map(({ tries }) => tries[0]?.worker?.split('/')[0])).toContain('behind-a-proxy');
  expect(proxy.requests.some((request) => request.startsWith(`GET ${farm.url}/`))).toBe(true);
  expect(behind.output()).not.toContain('pass-word');
  await behind.stop();
});
