import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { fork } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import type { Executor, WorkerOrder } from '../../../src/manager/executors/executor.ts';
import type { ExecutorEntry } from '../../../src/manager/executors/executors-file.ts';
import { openExecutor, type ExecutorSurroundings } from '../../../src/manager/executors/open-executor.ts';

/** What the suite starts in the place of a worker: three processes that sleep for ever, one in a session of its own. */
export const SLEEPING_WORKER = `#!/bin/sh
trap '' INT
sleep "\${MARK}1" &
setsid sleep "\${MARK}2" &
sleep "\${MARK}3"
`;
const PROCESSES = 3;

/** An executor of the implementation that is tested, on real things. */
export interface ExecutorUnderTest extends AsyncDisposable {
  /** As an operator describes it; its workers run `SLEEPING_WORKER`. */
  readonly entry: ExecutorEntry;
  /** A manager's, which its next life has too; the directory is the test's own. */
  readonly surroundings: ExecutorSurroundings;
  /** Everything about its workers that others can read: names, arguments, labels. */
  visible(): Promise<string>;
}

export interface Marked {
  readonly entry: ExecutorEntry;
  /** How many processes of its workers run. */
  readonly running: () => Promise<number>;
}

let marks = 0;
/** An entry whose workers are told from those of any other test. */
export function marked(entry: ExecutorEntry): Marked {
  const mark = `${process.pid}${String((marks += 1)).padStart(3, '0')}`;
  const commands = new Set([1, 2, 3].map((each) => `sleep\0${mark}${each}\0`));
  return {
    entry: { ...entry, environment: { ...entry.environment, MARK: mark } },
    running: async () => (await commandLines()).filter((line) => commands.has(line)).length,
  };
}

async function commandLines(): Promise<readonly string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  return Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')));
}

export function newOrder(): WorkerOrder {
  return {
    id: randomUUID(),
    realm: randomUUID(),
    token: randomBytes(32).toString('base64url'),
    server: 'ws://127.0.0.1:9',
  };
}

/** What every executor keeps, whatever it starts its workers on. */
export function executorSuite(name: string, make: () => Promise<ExecutorUnderTest>): void {
  describe(name, () => {
    const ids = async (executor: Executor): Promise<string[]> =>
      (await executor.list()).map(({ id }) => id).toSorted();

    test('starts a worker, lists it, and ends it with all it has started', async () => {
      await using under = await make();
      const { entry, running } = marked(under.entry);
      const executor = await openExecutor(entry, under.surroundings);
      expect(await executor.list()).toEqual([]);
      const order = newOrder();
      await executor.start(order);
      expect(await executor.list()).toEqual([{ id: order.id, state: 'running', reason: null }]);
      await expect.poll(running).toBe(PROCESSES);
      await executor.stop(order.id);
      expect(await running()).toBe(0);
      expect(await executor.list()).toEqual([]);
    });

    test('shows realm and token to nobody', async () => {
      await using under = await make();
      const { entry, running } = marked(under.entry);
      const executor = await openExecutor(entry, under.surroundings);
      const order = newOrder();
      await executor.start(order);
      await expect.poll(running).toBe(PROCESSES);
      const seen =
        (await under.visible()) + (await commandLines()).join() + JSON.stringify(await executor.list());
      expect(seen).toContain(order.id);
      expect(seen).not.toContain(order.token);
      expect(seen).not.toContain(order.realm);
      await executor.stop(order.id);
    });

    test('starts one worker for an id, however often and by whomever it is asked', async () => {
      await using under = await make();
      const { entry, running } = marked(under.entry);
      const executor = await openExecutor(entry, under.surroundings);
      const order = newOrder();
      await Promise.all([executor.start(order), executor.start(order)]);
      await executor.start(order);
      const next = await openExecutor(entry, under.surroundings);
      await next.start(order);
      await expect.poll(running).toBe(PROCESSES);
      expect(await ids(next)).toEqual([order.id]);
      await next.stop(order.id);
      expect(await running()).toBe(0);
    });

    test('stops what it does not know without an error, and twice as well as once', async () => {
      await using under = await make();
      const executor = await openExecutor(under.entry, under.surroundings);
      await executor.stop(randomUUID());
      await executor.stop('../../etc/passwd');
      const order = newOrder();
      await executor.start(order);
      await Promise.all([executor.stop(order.id), executor.stop(order.id)]);
      await executor.stop(order.id);
      expect(await executor.list()).toEqual([]);
    });

    test('a stop that overtakes its start leaves nothing', async () => {
      await using under = await make();
      const { entry, running } = marked(under.entry);
      const executor = await openExecutor(entry, under.surroundings);
      const order = newOrder();
      const [started] = await Promise.allSettled([executor.start(order), executor.stop(order.id)]);
      expect(started.status).toBe('fulfilled');
      expect(await executor.list()).toEqual([]);
      expect(await running()).toBe(0);
    });

    test("lists and ends its own workers, and no other executor's or manager's", async () => {
      await using under = await make();
      const { entry, running } = marked(under.entry);
      const executor = await openExecutor(entry, under.surroundings);
      const sibling = await openExecutor({ ...entry, name: `${entry.name}-2` }, under.surroundings);
      const directory = join(under.surroundings.directory, 'another-manager');
      const stranger = await openExecutor(entry, { ...under.surroundings, directory });
      const order = newOrder();
      await executor.start(order);
      for (const other of [sibling, stranger]) {
        expect(await other.list()).toEqual([]);
        await other.stop(order.id);
      }
      await expect.poll(running).toBe(PROCESSES);
      expect(await ids(executor)).toEqual([order.id]);
      await executor.stop(order.id);
    });

    test('refuses a worker more than its capacity, until one has gone', async () => {
      await using under = await make();
      const entry = { ...under.entry, capacity: 2 };
      const executor = await openExecutor(entry, under.surroundings);
      const orders = [newOrder(), newOrder(), newOrder()] as const;
      const answers = await Promise.allSettled(orders.map((order) => executor.start(order)));
      expect(answers.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected']);
      expect(answers[2]).toMatchObject({ reason: { name: 'ExecutorError', kind: 'full' } });
      expect(await ids(executor)).toEqual([orders[0].id, orders[1].id].toSorted());
      // Also after a crash: what it left behind takes its room.
      const next = await openExecutor(entry, under.surroundings);
      await expect(next.start(orders[2])).rejects.toMatchObject({ kind: 'full' });
      await next.stop(orders[0].id);
      await next.start(orders[2]);
      for (const id of await ids(next)) await next.stop(id);
    });

    test('a worker that ends by itself is known as ended, starts no second time, and takes no room', async () => {
      await using under = await make();
      const entry = {
        ...under.entry,
        capacity: 1,
        environment: { ...under.entry.environment, MARK: 'no number' },
      };
      const executor = await openExecutor(entry, under.surroundings);
      const order = newOrder();
      await executor.start(order);
      const ended = { id: order.id, state: 'ended', reason: expect.stringMatching(/./) as string };
      await expect.poll(() => executor.list()).toEqual([ended]);
      await executor.start(order);
      expect(await executor.list()).toEqual([ended]);
      const next = newOrder();
      await executor.start(next);
      await executor.stop(order.id);
      await executor.stop(next.id);
      expect(await executor.list()).toEqual([]);
    });

    test('a manager that is killed leaves nothing that the next one does not find', async () => {
      await using under = await make();
      const { entry, running } = marked(under.entry);
      // Whenever it comes: before, amid and after the start.
      for (const delay of [0, 5, 15, 40, 120, 400]) {
        const order = newOrder();
        await startAndBeKilled({ entry, surroundings: under.surroundings, order }, delay);
        const next = await openExecutor(entry, under.surroundings);
        const found = await ids(next);
        expect([[], [order.id]]).toContainEqual(found);
        // The new manager may want it after all: no second one starts. One that was killed with its manager may have ended unused.
        await next.start(order);
        const isSettled = async (): Promise<boolean> =>
          (await running()) === PROCESSES || (await next.list()).some(({ state }) => state === 'ended');
        await expect.poll(isSettled).toBe(true);
        await next.stop(order.id);
        expect(await next.list()).toEqual([]);
        expect(await running()).toBe(0);
      }
    });
  });
}

/** What `starter.ts` is told. */
interface StarterTask {
  readonly entry: ExecutorEntry;
  readonly surroundings: ExecutorSurroundings;
  readonly order: WorkerOrder;
}

/** Has a process of its own start a worker, and kills that process so long after it began, in milliseconds. */
async function startAndBeKilled(task: StarterTask, delay: number): Promise<void> {
  const starter = fork(new URL('./starter.ts', import.meta.url), { stdio: 'inherit' });
  const exited = once(starter, 'exit');
  starter.send(task);
  await once(starter, 'message');
  await wait(delay);
  starter.kill('SIGKILL');
  await exited;
}
