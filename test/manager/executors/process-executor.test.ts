import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { folderPrefix } from '../../../lab/orphans.ts';
import { startProcess } from '../../../lab/process.ts';
import type { ExecutorEntry } from '../../../src/manager/executors/executors-file.ts';
import { openExecutor } from '../../../src/manager/executors/open-executor.ts';
import { identify } from '../../../src/manager/executors/process/family.ts';
import { executorSuite, marked, newOrder, SLEEPING_WORKER, type ExecutorUnderTest } from './conformance.ts';
import { fleetSuite } from './fleet-suite.ts';

/** Workers as processes of this machine. */

async function make(): Promise<ExecutorUnderTest> {
  const directory = await mkdtemp(`${folderPrefix()}executor-`);
  const program = join(directory, 'worker');
  await writeFile(program, SLEEPING_WORKER, { mode: 0o755 });
  const entry: ExecutorEntry = {
    name: 'local',
    type: 'process',
    capacity: 10,
    namespaces: null,
    labels: {},
    extensions: [],
    setup_seconds: 60,
    lifetime_seconds: 600,
    server: null,
    environment: {},
  };
  const surroundings = { manager: 'the manager', directory, program, leaveWithinMs: 100 };
  return {
    entry,
    surroundings,
    visible: async () => {
      const folder = join(directory, 'local', 'workers');
      const names = await readdir(folder);
      const texts = await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')));
      return [...names, ...texts].join('\n');
    },
    [Symbol.asyncDispose]: async () => {
      // A test that failed leaves none of its workers either.
      const executor = await openExecutor(entry, surroundings);
      for (const { id } of await executor.list()) await executor.stop(id);
      await rm(directory, { recursive: true, force: true });
    },
  };
}

executorSuite('a process of this machine', make);
fleetSuite('a process of this machine', make);

test('a worker is told what its executor says, and nothing of the manager but PATH', async () => {
  await using under = await make();
  const { directory, program } = under.surroundings;
  await writeFile(
    program,
    `#!/bin/sh\nenv > ${directory}/seen.draft; mv ${directory}/seen.draft ${directory}/seen\n`,
  );
  const executor = await openExecutor(
    { ...under.entry, environment: { DOCKER_HOST: 'unix:///engine.sock' } },
    under.surroundings,
  );
  const order = newOrder();
  await executor.start(order);
  const seen = (): Promise<string> => readFile(join(directory, 'seen'), 'utf8').catch(() => '');
  await expect.poll(seen).not.toBe('');
  const names = (await seen()).split('\n');
  expect(names).toEqual(
    expect.arrayContaining([
      `REALM=${order.realm}`,
      `TOKEN=${order.token}`,
      'SERVER=ws://127.0.0.1:9',
      'DOCKER_HOST=unix:///engine.sock',
      'WORKER_ID=local-0.the-manager',
    ]),
  );
  expect(
    names.map((line) => line.split('=')[0]).filter((name) => name === 'HOME' || name === 'USER'),
  ).toEqual([]);
  await executor.stop(order.id);
});

test('a number that is another process by now is left alone', async () => {
  await using under = await make();
  await using other = startProcess('/bin/sleep', ['1000']);
  const { entry, running } = marked(under.entry);
  const executor = await openExecutor(entry, under.surroundings);
  const order = newOrder();
  await executor.start(order);
  await expect.poll(running).toBe(3);
  const path = join(under.surroundings.directory, 'local', 'workers', `${order.id}.json`);
  const record = JSON.parse(await readFile(path, 'utf8')) as object;
  const { start } = (await identify(other.pid)) ?? expect.unreachable();
  await writeFile(path, JSON.stringify({ ...record, pid: other.pid, start: String(Number(start) - 1) }));
  expect(await executor.list()).toMatchObject([{ state: 'ended' }]);
  await executor.stop(order.id);
  expect(await running()).toBe(0);
  expect(await readFile(`/proc/${other.pid}/cmdline`, 'utf8')).toContain('sleep');
});

test('what a dead worker has left is found and ended, too', async () => {
  await using under = await make();
  const { entry, running } = marked(under.entry);
  const executor = await openExecutor(entry, under.surroundings);
  const order = newOrder();
  await executor.start(order);
  await expect.poll(running).toBe(3);
  const path = join(under.surroundings.directory, 'local', 'workers', `${order.id}.json`);
  const { pid } = JSON.parse(await readFile(path, 'utf8')) as { pid: number };
  process.kill(pid, 'SIGKILL');
  await expect
    .poll(() => executor.list())
    .toEqual([{ id: order.id, state: 'ended', reason: 'it was ended by SIGKILL' }]);
  await executor.stop(order.id);
  expect(await running()).toBe(0);
});

test('a program that is not there is refused before anything is started', async () => {
  await using under = await make();
  const program = join(under.surroundings.directory, 'nothing');
  await expect(openExecutor(under.entry, { ...under.surroundings, program })).rejects.toMatchObject({
    name: 'ExecutorError',
    message: expect.stringContaining(program) as string,
  });
});
