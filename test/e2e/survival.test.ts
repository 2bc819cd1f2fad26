import { readdir, readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { LabProcess } from '../../lab/process.ts';
import { ended, followUntil, quayBuild, show, startE2e, submit, type E2e } from './support.ts';

/** What becomes of a build when somebody stops it, or something dies. */

let e2e: E2e;
let worker: LabProcess;
beforeAll(async () => {
  e2e = await startE2e({ env: { LEASE_SECONDS: '5' } });
  worker = await e2e.farm.startWorker(e2e.engine);
});
afterAll(() => e2e[Symbol.asyncDispose]());

let marks = 40_000;
/** A Dockerfile whose step runs until it is stopped, and the command that is then to be found among the processes. */
function endless(): { dockerfile: Uint8Array<ArrayBuffer>; command: string } {
  const command = `sleep ${++marks}`;
  const text = `FROM busybox:stable\nRUN echo it has begun; ${command}\n`;
  return { dockerfile: new TextEncoder().encode(text), command };
}

async function isRunning(command: string): Promise<boolean> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(
    pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')),
  );
  return lines.some((line) => line.split('\0').join(' ').trim() === command);
}

async function gone(command: string): Promise<void> {
  while (await isRunning(command)) await new Promise((resolve) => setImmediate(resolve));
}

const hasBegun = (events: string): boolean => events.includes('"text":"it has begun');

it('cancels a build at once, stops its step, and builds the next one', async () => {
  const { farm } = e2e;
  const { dockerfile, command } = endless();
  const { id } = await submit(farm, { repository: 'team/cancelled' }, dockerfile);
  await followUntil(farm, id, hasBegun);
  expect(await isRunning(command)).toBe(true);

  const { code } = await quayBuild(farm, ['cancel', id.slice(0, 13)]);
  expect(code).toBe(0);
  expect(await show(farm, id)).toMatchObject({ state: 'cancelled', tries: [{ outcome: 'cancelled' }] });
  await gone(command);

  const next = await submit(
    farm,
    { repository: 'team/next' },
    new TextEncoder().encode('FROM busybox:stable\n'),
  );
  expect(await ended(farm, next.id)).toMatchObject({ state: 'complete' });
});

it('cancels a build that waits', async () => {
  const { farm } = e2e;
  const { dockerfile } = endless();
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
  const text = 'FROM busybox:stable\nRUN echo it has begun; sleep 2\n';
  const { id } = await submit(farm, { repository: 'team/worker-killed' }, new TextEncoder().encode(text));
  await followUntil(farm, id, hasBegun);
  worker.kill('SIGKILL');
  worker = await farm.startWorker(engine);
  const build = await ended(farm, id);
  expect(build).toMatchObject({ state: 'complete', tries: [{ outcome: 'lost' }, { outcome: 'complete' }] });
});

it('builds on after the manager was killed and started again', async () => {
  const { farm } = e2e;
  const text = 'FROM busybox:stable\nRUN echo it has begun; sleep 3\n';
  const { id } = await submit(farm, { repository: 'team/manager-killed' }, new TextEncoder().encode(text));
  await followUntil(farm, id, hasBegun);
  await farm.restartManager('SIGKILL');
  const build = await ended(farm, id);
  expect(build).toMatchObject({ state: 'complete', tries: [{ outcome: 'complete' }] });
});

it('builds on after the manager was stopped and started again', async () => {
  const { farm } = e2e;
  const text = 'FROM busybox:stable\nRUN echo it has begun; sleep 4\n';
  const { id } = await submit(farm, { repository: 'team/manager-stopped' }, new TextEncoder().encode(text));
  await followUntil(farm, id, hasBegun);
  await farm.restartManager('SIGTERM');
  const build = await ended(farm, id);
  expect(build).toMatchObject({ state: 'complete', tries: [{ outcome: 'complete' }] });
});
