import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import type { LabProcess } from '../../lab/process.ts';
import { startTcpProxy, type LabTcpProxy } from '../../lab/tcp-proxy.ts';
import { ended, followUntil, logOf, show, startE2e, submit, type E2e } from './support.ts';

/** A worker that loses its manager goes on building, and comes back with its build (extension `resume`). */

const GRACE_SECONDS = 10;

let e2e: E2e;
beforeAll(async () => {
  e2e = await startE2e({ env: { LEASE_SECONDS: '5', RESUME_GRACE_SECONDS: String(GRACE_SECONDS) } });
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
/** A Dockerfile whose step prints a line every 20 ms, so many of them, and is unlike any other's. */
function printing(lines: number): Uint8Array<ArrayBuffer> {
  const count = `i=0; while [ $i -lt ${lines} ]; do echo "line $i of ${++marks}"; i=$((i+1)); usleep 20000; done`;
  return new TextEncoder().encode(`FROM busybox:stable\nRUN ${count}\nRUN echo the last step\n`);
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
  await expect.poll(buildFolders).toEqual([]);
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

/** The folders of builds that the worker has. */
async function buildFolders(): Promise<string[]> {
  const home = join(e2e.directory, 'work', /"worker":"([^"]+)"/.exec(worker.output())?.[1] ?? '');
  return (await readdir(home)).filter((name) => /^[0-9a-f-]{36}$/.test(name));
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
  const { id } = await submit(farm, { repository: 'team/away' }, printing(100));
  await followUntil(farm, id, has(10));
  wire.open(false);
  wire.cut();
  const pushed = join(
    e2e.directory,
    'registry/docker/registry/v2/repositories/team/away/_manifests/tags/latest',
  );
  while (!existsSync(pushed)) await setImmediate();
  expect(await show(farm, id)).toMatchObject({ state: 'running', phase: 'building' });
  wire.open(true);
  await expectWhole(id, 100);
});

/** A Dockerfile whose step runs until it is ended from outside, and the command that is then to be found among the processes. */
function endless(): { dockerfile: Uint8Array<ArrayBuffer>; command: string } {
  const command = `sleep ${50_000 + ++marks}`;
  const text = `FROM busybox:stable\nRUN echo it has begun; ${command} || true\n`;
  return { dockerfile: new TextEncoder().encode(text), command };
}

const hasBegun = (events: string): boolean => events.includes('"text":"it has begun');

async function pidOf(command: string): Promise<number | undefined> {
  for (const name of await readdir('/proc')) {
    const line = /^\d+$/.test(name) ? await readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '') : '';
    if (line.split('\0').join(' ').trim() === command) return Number(name);
  }
  return undefined;
}

it('a cancellation reaches the worker when it is back', async () => {
  const { farm } = e2e;
  const { dockerfile, command } = endless();
  const { id } = await submit(farm, { repository: 'team/cancelled' }, dockerfile);
  await followUntil(farm, id, hasBegun);
  wire.open(false);
  wire.cut();
  await worker.printed(/the connection was lost during a build/);
  await fetch(`${farm.url}/api/v1/builds/${id}/cancel`, { method: 'POST' });
  expect(await pidOf(command)).toBeDefined();
  wire.open(true);
  while ((await pidOf(command)) !== undefined) await setImmediate();
  expect(await show(farm, id)).toMatchObject({ state: 'cancelled', tries: [{ outcome: 'cancelled' }] });
});

it('a worker that is away for longer than it may stops the build, and another try makes it', async () => {
  const { farm } = e2e;
  const { dockerfile, command } = endless();
  const { id } = await submit(farm, { repository: 'team/gone' }, dockerfile);
  await followUntil(farm, id, hasBegun);
  wire.open(false);
  wire.cut();
  await worker.printed(/not ready; trying again/);
  expect(await pidOf(command)).toBeUndefined();
  await expect.poll(buildFolders).toEqual([]);
  wire.open(true);
  await followUntil(farm, id, (events) => /"try":2.*"text":"it has begun/.test(events));
  process.kill((await pidOf(command)) ?? 0);
  const build = await ended(farm, id);
  expect(build).toMatchObject({ state: 'complete', tries: [{ outcome: 'lost' }, { outcome: 'complete' }] });
});

it('a worker that was killed has its build given to the next one at once', async () => {
  const { farm } = e2e;
  const { dockerfile, command } = endless();
  const { id } = await submit(farm, { repository: 'team/dead' }, dockerfile);
  await followUntil(farm, id, hasBegun);
  worker.kill('SIGKILL');
  await worker.exited;
  worker = await farm.startWorker(e2e.engine, { SERVER: `ws://127.0.0.1:${wire.port}` });
  await followUntil(farm, id, (events) => /"try":2.*"text":"it has begun/.test(events));
  process.kill((await pidOf(command)) ?? 0);
  const build = await ended(farm, id);
  expect(build).toMatchObject({
    state: 'complete',
    tries: [{ outcome: 'lost' }, { outcome: 'complete' }],
  });
});
