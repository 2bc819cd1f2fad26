import { afterAll, beforeAll, expect, it } from 'vitest';
import type { LabProcess } from '../../lab/process.ts';
import {
  ended,
  endlessBuild,
  followUntil,
  hasBegun,
  hasBegunAgain,
  isRunning,
  letGo,
  quayBuild,
  show,
  startE2e,
  submit,
  type E2e,
} from './support.ts';

/** What becomes of a build when somebody stops it, or something dies. */

let e2e: E2e;
let worker: LabProcess;
beforeAll(async () => {
  e2e = await startE2e({ env: { LEASE_SECONDS: '5' } });
  worker = await e2e.farm.startWorker(e2e.engine);
});
afterAll(() => e2e[Symbol.asyncDispose]());

it('cancels a build at once, stops its step, and builds the next one', async () => {
  const { farm } = e2e;
  const { dockerfile, command } = endlessBuild();
  const { id } = await submit(farm, { repository: 'team/cancelled' }, dockerfile);
  await followUntil(farm, id, hasBegun);
  await expect.poll(() => isRunning(command)).toBe(true);

  const { code } = await quayBuild(farm, ['cancel', id.slice(0, 13)]);
  expect(code).toBe(0);
  expect(await show(farm, id)).toMatchObject({ state: 'cancelled', tries: [{ outcome: 'cancelled' }] });
  await expect.poll(() => isRunning(command)).toBe(false);

  const next = await submit(
    farm,
    { repository: 'team/next' },
    new TextEncoder().encode('FROM busybox:stable\n'),
  );
  expect(await ended(farm, next.id)).toMatchObject({ state: 'complete' });
});

it('cancels a build that waits', async () => {
  const { farm } = e2e;
  const { dockerfile } = endlessBuild();
  const running = await submit(farm, { repository: 'team/first' }, dockerfile);
  await followUntil(farm, running.id, hasBegun);
  const waiting = await submit(farm, { repository: 'team/second' }, dockerfile);
  expect(waiting.state).toBe('waiting');
  await fetch(`${farm.url}/api/v1/builds/${waiting.id}/cancel`, { method: 'POST' });
  expect(await ended(farm, waiting.id)).toMatchObject({ state: 'cancelled', tries: [] });
  await fetch(`${farm.url}/api/v1/builds/${running.id}/cancel`, { method: 'POST' });
});

it('gives the build of a killed worker to another, at once', async () => {
  const { farm, engine } = e2e;
  const { dockerfile, command } = endlessBuild();
  const { id } = await submit(farm, { repository: 'team/worker-killed' }, dockerfile);
  await followUntil(farm, id, hasBegun);
  worker.kill('SIGKILL');
  worker = await farm.startWorker(engine);
  await followUntil(farm, id, hasBegunAgain);
  const build = await letGo(farm, id, command);
  expect(build).toMatchObject({ state: 'complete', tries: [{ outcome: 'lost' }, { outcome: 'complete' }] });
});

it('builds on after the manager was killed and started again', async () => {
  const { farm } = e2e;
  const { dockerfile, command } = endlessBuild();
  const { id } = await submit(farm, { repository: 'team/manager-killed' }, dockerfile);
  await followUntil(farm, id, hasBegun);
  await farm.restartManager('SIGKILL');
  const build = await letGo(farm, id, command);
  expect(build).toMatchObject({ state: 'complete', tries: [{ outcome: 'complete' }] });
});

it('builds on after the manager was stopped and started again', async () => {
  const { farm } = e2e;
  const { dockerfile, command } = endlessBuild();
  const { id } = await submit(farm, { repository: 'team/manager-stopped' }, dockerfile);
  await followUntil(farm, id, hasBegun);
  await farm.restartManager('SIGTERM');
  const build = await letGo(farm, id, command);
  expect(build).toMatchObject({ state: 'complete', tries: [{ outcome: 'complete' }] });
});
