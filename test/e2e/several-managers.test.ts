import { afterAll, beforeAll, expect, it } from 'vitest';
import { startDatabaseServer, type LabDatabaseServer } from '../../lab/database.ts';
import type { LabManager } from '../../lab/farm.ts';
import { workerListSchema } from '../../src/contract/api.ts';
import {
  ended,
  endlessBuild,
  followUntil,
  hasBegun,
  isRunning,
  logOf,
  show,
  startE2e,
  submit,
  type E2e,
} from './support.ts';

/** Three managers on one PostgreSQL behind one address: it does not matter which of them is asked, or dies. */

let database: LabDatabaseServer;
let e2e: E2e;
let first: LabManager;
let second: LabManager;
let third: LabManager;
beforeAll(async () => {
  database = await startDatabaseServer();
  const databaseUrl = (await database.createEmptyDatabase()).url;
  e2e = await startE2e({ several: { managers: 3, databaseUrl } });
  const [one, two, three] = e2e.farm.managers;
  if (!one || !two || !three) throw new Error('three managers were asked for');
  [first, second, third] = [one, two, three];
  for (const name of ['one', 'two']) {
    await e2e.farm.startWorker(e2e.engine, { WORKER_ID: name, CONCURRENCY: '2' });
  }
});
afterAll(async () => {
  await e2e[Symbol.asyncDispose]();
  await database.stop();
});

let marks = 0;
/** A Dockerfile whose step prints so many lines, one in 20 ms, and is unlike any other's. */
function printing(lines: number): Uint8Array<ArrayBuffer> {
  const count = `i=0; while [ $i -lt ${lines} ]; do echo "line $i of ${++marks}"; i=$((i+1)); usleep 20000; done`;
  return new TextEncoder().encode(`FROM busybox:stable\nRUN ${count}\n`);
}

const has = (line: number) => (events: string) => events.includes(`line ${line} of`);

async function expectWhole(manager: LabManager, id: string, lines: number): Promise<void> {
  const build = await ended(e2e.farm, id);
  expect(build).toMatchObject({ state: 'complete', tries: [{ number: 1, outcome: 'complete' }] });
  const numbers = Array.from((await logOf(manager, id)).matchAll(/^line (\d+) of \d+$/gm), ([, number]) =>
    Number(number),
  );
  expect(numbers).toEqual([...Array(lines).keys()]);
}

async function slotsKnownTo({ url }: LabManager): Promise<string[]> {
  const { workers } = workerListSchema.parse(await (await fetch(`${url}/api/v1/workers`)).json());
  return workers.map(({ id }) => id).sort();
}

it('a build is submitted to one, followed from another, and listed by the third', async () => {
  const { id } = await submit(first, { repository: 'team/anywhere' }, printing(20));
  await followUntil(second, id, has(5));
  const list = (await (await fetch(`${third.url}/api/v1/builds`)).json()) as {
    builds: { id: string }[];
  };
  expect(list.builds.map((build) => build.id)).toContain(id);
  await expectWhole(third, id, 20);
  // The registry took the tokens that whichever of them signed.
  expect((await show(second, id)).digests).toEqual({ latest: expect.stringMatching(/^sha256:/) as string });
});

it('each of them knows all workers, and cancels what another one runs', async () => {
  for (const [from, by] of [
    [first, second],
    [second, third],
    [third, first],
  ] as const) {
    await expect.poll(() => slotsKnownTo(by)).toEqual(['one', 'one', 'two', 'two']);
    const { dockerfile, command } = endlessBuild();
    const { id } = await submit(from, { repository: 'team/cancelled' }, dockerfile);
    await followUntil(by, id, hasBegun);
    expect((await fetch(`${by.url}/api/v1/builds/${id}/cancel`, { method: 'POST' })).status).toBe(200);
    expect(await show(from, id)).toMatchObject({ state: 'cancelled' });
    await expect.poll(() => isRunning(command)).toBe(false);
  }
});

it('all are restarted one after the other while builds run: none is lost, and no try used up', async () => {
  const LINES = 400;
  const builds: string[] = [];
  for (const manager of [first, second, third, first]) {
    const { id } = await submit(manager, { repository: 'team/rolling' }, printing(LINES));
    builds.push(id);
  }
  await Promise.all(builds.map((id) => followUntil(e2e.farm, id, has(1))));
  for (const manager of [first, second, third]) await manager.restart('SIGTERM');
  for (const id of builds) await expectWhole(first, id, LINES);
});

it('one is killed while builds run: the others have its workers, and no try is used up', async () => {
  const LINES = 200;
  const builds: string[] = [];
  for (const manager of [first, second, third]) {
    const { id } = await submit(manager, { repository: 'team/killed' }, printing(LINES));
    builds.push(id);
  }
  await Promise.all(builds.map((id) => followUntil(e2e.farm, id, has(1))));
  second.process.kill('SIGKILL');
  await second.process.exited;
  for (const id of builds) await expectWhole(third, id, LINES);
  await second.start();
});
