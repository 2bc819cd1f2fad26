import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startBareWorker } from '../../../lab/bare-worker.ts';
import { startFarm, type LabFarm } from '../../../lab/farm.ts';
import { show, submit } from '../../e2e/support.ts';

/** A worker that sends heartbeats for ever and never answers, as the manager ends what it was given. */

let directory: string;
let farm: LabFarm;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'qlab-deadline-'));
  const env = { BUILD_TIMEOUT_SECONDS: '10', WORKER_STOP_SECONDS: '5', LEASE_SECONDS: '5' };
  farm = await startFarm({ directory, env });
});
afterAll(async () => {
  await farm.stop();
  await rm(directory, { recursive: true, force: true });
});

const BUILD = { repository: 'team/app', build_package: 'http://127.0.0.1:9/package.tar' };

it('its try ends, it is told to stop, gets no other build, and at last its session ends', async () => {
  const given: unknown[] = [];
  await using worker = await startBareWorker({
    url: farm.wampUrl,
    onBuild: async (kwargs, self) => {
      given.push(kwargs['repository']);
      await self.enterPhase('building');
      return new Promise(() => undefined);
    },
  });
  const { id } = await submit(farm, BUILD);
  await expect.poll(() => given).toHaveLength(1);
  await submit(farm, { ...BUILD, repository: 'team/other' });
  await expect.poll(async () => (await show(farm, id)).tries[0]?.outcome, { timeout: 90_000 }).not.toBeNull();
  const build = await show(farm, id);
  expect(build.tries[0]).toMatchObject({
    error: { base_error: expect.stringContaining('10 s (timeout)') as string },
  });
  // Its manager hears of it a moment later; and where this machine is slow, the worker may be thrown out already: then nobody answers.
  await expect.poll(() => worker.log('building', { stream: 'still here\n' }).catch(() => false)).toBe(false);
  await worker.closed;
  expect(given).toEqual(['team/app']);
  await farm.manager.printed(/a worker did not stop a build that was ended/);
});
