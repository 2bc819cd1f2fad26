import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { LabProcess } from '../../lab/process.ts';
import { startTcpProxy, type LabTcpProxy } from '../../lab/tcp-proxy.ts';
import {
  buildFolders,
  endCommand,
  ended,
  endlessBuild,
  endlessCommand,
  followUntil,
  hasBegun,
  hasBegunAgain,
  isRunning,
  letGo,
  logOf,
  show,
  startE2e,
  submit,
  type E2e,
} from './support.ts';

/** A worker that loses its manager goes on building, and comes back with its build (extension `resume`). */

let e2e: E2e;
beforeAll(async () => {
  e2e = await startE2e({ env: { LEASE_SECONDS: '5' } });
});
afterAll(() => e2e[Symbol.asyncDispose]());

let wire: LabTcpProxy;
let worker: LabProcess;
beforeEach(async () => {
  wire = await startTcpProxy(Number(new URL(e2e.farm.wampUrl).port));
  worker = await e2e.farm.startWorker(e2e.engine, { SERVER: `ws://127.0.0.1:${wire.port}` });
});
afterEach(async () => {
  await worker.stop();
  await wire.stop();
});

let marks = 0;
/** A step that prints these lines, one in 20 ms, and is unlike any other. */
function printingStep(from: number, to: number): string {
  return `RUN i=${from}; while [ $i -lt ${to} ]; do echo "line $i of ${++marks}"; i=$((i+1)); usleep 20000; done`;
}

/** A Dockerfile of such a step, with so many lines. */
function printing(lines: number): Uint8Array<ArrayBuffer> {
  return dockerfileOf([printingStep(0, lines), 'RUN echo the last step']);
}

function dockerfileOf(steps: readonly string[]): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(['FROM busybox:stable', ...steps, ''].join('\n'));
}

/** The numbers of the lines in a build's log, in their order. */
function linesOf(log: string): number[] {
  return Array.from(log.matchAll(/^line (\d+) of \d+$/gm), ([, number]) => Number(number));
}

const has = (line: number) => (events: string) => events.includes(`line ${line} of`);

async function expectWhole(id: string, lines: number): Promise<void> {
  const build = await ended(e2e.farm, id);
  expect(build).toMatchObject({ state: 'complete', tries: [{ number: 1, outcome: 'complete' }] });
  const log = await logOf(e2e.farm, id);
  expect(linesOf(log)).toEqual([...Array(lines).keys()]);
  expect(await phasesOf(id)).toEqual(['unpacking', 'pulling', 'checking-cache', 'building', 'pushing']);
  // The folder goes once the result was told.
  await expect.poll(() => buildFolders(e2e)).toEqual([]);
}

/** The phases that a build's log tells of. */
async function phasesOf(id: string): Promise<unknown[]> {
  const answer = await fetch(`${e2e.farm.url}/api/v1/builds/${id}/log`, {
    headers: { accept: 'application/x-ndjson' },
  });
  const records = (await answer.text())
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { stream: string; phase: string });
  return records.filter(({ stream }) => stream === 'phase').map(({ phase }) => phase);
}

it('a connection that is cut again and again costs no try and no line', async () => {
  const { farm } = e2e;
  const { id } = await submit(farm, { repository: 'team/cut' }, printing(250));
  for (const line of [10, 80, 150]) {
    await followUntil(farm, id, has(line));
    const back = wire.connected();
    wire.cut();
    await back;
  }
  await expectWhole(id, 250);
});

it('a manager that is killed and started again takes the worker back', async () => {
  const { farm } = e2e;
  const { id } = await submit(farm, { repository: 'team/killed' }, printing(400));
  await followUntil(farm, id, has(50));
  await farm.restartManager('SIGKILL');
  await expectWhole(id, 400);
});

it('a build that ends while its manager is away is told when it is back', async () => {
  const { farm } = e2e;
  const command = endlessCommand();
  const steps = [printingStep(0, 50), `RUN ${command} || true`, printingStep(50, 100)];
  const { id } = await submit(farm, { repository: 'team/away' }, dockerfileOf(steps));
  await followUntil(farm, id, has(10));
  wire.open(false);
  wire.cut();
  const pushed = join(
    e2e.directory,
    'registry/docker/registry/v2/repositories/team/away/_manifests/tags/latest',
  );
  await expect
    .poll(async () => {
      await endCommand(command);
      return existsSync(pushed);
    })
    .toBe(true);
  expect(await show(farm, id)).toMatchObject({ state: 'running', phase: 'building' });
  wire.open(true);
  await expectWhole(id, 100);
});

it('a cancellation reaches the worker when it is back', async () => {
  const { farm } = e2e;
  const { dockerfile, command } = endlessBuild();
  const { id } = await submit(farm, { repository: 'team/cancelled' }, dockerfile);
  await followUntil(farm, id, hasBegun);
  await expect.poll(() => isRunning(command)).toBe(true);
  wire.open(false);
  wire.cut();
  await worker.printed(/the connection was lost during a build/);
  await fetch(`${farm.url}/api/v1/builds/${id}/cancel`, { method: 'POST' });
  expect(await isRunning(command)).toBe(true);
  wire.open(true);
  await expect.poll(() => isRunning(command)).toBe(false);
  expect(await show(farm, id)).toMatchObject({ state: 'cancelled', tries: [{ outcome: 'cancelled' }] });
});

it('a worker that was killed has its build given to the next one at once', async () => {
  const { farm } = e2e;
  const { dockerfile, command } = endlessBuild();
  const { id } = await submit(farm, { repository: 'team/dead' }, dockerfile);
  await followUntil(farm, id, hasBegun);
  worker.kill('SIGKILL');
  await worker.exited;
  worker = await farm.startWorker(e2e.engine, { SERVER: `ws://127.0.0.1:${wire.port}` });
  await followUntil(farm, id, hasBegunAgain);
  const build = await letGo(farm, id, command);
  expect(build).toMatchObject({
    state: 'complete',
    tries: [{ outcome: 'lost' }, { outcome: 'complete' }],
  });
});

describe('with a grace of some seconds', () => {
  beforeAll(() => e2e.farm.managers[0]?.restart('SIGTERM', { RESUME_GRACE_SECONDS: '10' }));

  it('a worker that is away for longer than it may stops the build, and another try makes it', async () => {
    const { farm } = e2e;
    const { dockerfile, command } = endlessBuild();
    const { id } = await submit(farm, { repository: 'team/gone' }, dockerfile);
    await followUntil(farm, id, hasBegun);
    wire.open(false);
    wire.cut();
    await worker.printed(/not ready; trying again/);
    // The engine goes on tidying up for a moment.
    await expect.poll(() => isRunning(command)).toBe(false);
    await expect.poll(() => buildFolders(e2e)).toEqual([]);
    wire.open(true);
    await followUntil(farm, id, hasBegunAgain);
    const build = await letGo(farm, id, command);
    expect(build).toMatchObject({ state: 'complete', tries: [{ outcome: 'lost' }, { outcome: 'complete' }] });
  });
});
