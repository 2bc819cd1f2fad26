import { mkdtemp, readdir, rm, stat, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LogBatch } from '../../../src/contract/extensions.ts';
import type { Clock } from '../../../src/worker/clock.ts';
import { createBatchLog } from '../../../src/worker/link/batch-log.ts';
import { createResumableLink } from '../../../src/worker/link/build-link.ts';
import { createLogQueue } from '../../../src/worker/link/log-queue.ts';
import { createLogSpool } from '../../../src/worker/link/log-spool.ts';
import { LinkError, type RealmSession } from '../../../src/worker/link/session.ts';

/** What becomes of a log while the manager is away. */

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'qlab-spool-'));
});
afterAll(() => rm(directory, { recursive: true }));

let files = 0;
const newPath = (): string => join(directory, `log-${(files += 1)}`);
const lease = { build: '00000000-0000-4000-8000-000000000000', try: 1, lease_token: 'token' };
/** Nobody waits for anything. */
const clock: Clock = {
  now: () => 0,
  after: (_ms, callback) => {
    const timer = setImmediate(callback);
    return () => clearImmediate(timer);
  },
};

interface ModelManager {
  readonly stored: string[];
  readonly join: () => RealmSession;
  /** What becomes of the calls that come: `lost` before they are stored, or `unanswered` after that. Then the connection is gone. */
  readonly fates: ('stored' | 'lost' | 'unanswered')[];
}

/** Stores each message once, by its number, as a manager does. */
function modelManager(): ModelManager {
  const stored: string[] = [];
  const fates: ModelManager['fates'] = [];
  const take = ({ sequence, messages }: LogBatch): void => {
    expect(sequence).toBeLessThanOrEqual(stored.length + 1);
    stored.push(...messages.slice(stored.length + 1 - sequence).map(({ json_data }) => json_data));
  };
  const join = (): RealmSession => {
    const ended = Promise.withResolvers<string>();
    let isOpen = true;
    const call = async (_procedure: string, kwargs: unknown): Promise<unknown> => {
      await Promise.resolve();
      if (!isOpen) throw new LinkError('the session has ended');
      const fate = fates.shift() ?? 'stored';
      if (fate !== 'lost') take(kwargs as LogBatch);
      if (fate === 'stored') return true;
      isOpen = false;
      ended.resolve('the connection was cut');
      throw new LinkError('the connection was cut');
    };
    const unused = (): Promise<never> => Promise.reject(new Error('nobody asks for that'));
    return {
      realm: 'realm',
      accepted: new Set(['log-batch', 'resume']),
      lastStored: stored.length,
      wasSentAway: false,
      ended: ended.promise,
      call,
      register: unused,
      subscribe: unused,
      publish: () => undefined,
      leave: () => Promise.resolve(),
    };
  };
  return { stored, fates, join };
}

it('any interleaving of cuts gives the same log, in memory or on disk', async () => {
  const piece = fc.record({
    characters: fc.constantFrom(1, 400, 16_384),
    count: fc.integer({ min: 1, max: 120 }),
    phase: fc.boolean(),
    fates: fc.array(fc.constantFrom('stored', 'lost', 'unanswered'), { maxLength: 3 }),
    /** Comes back before this piece, where it was away. */
    back: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { minLength: 1, maxLength: 8 }), async (pieces) => {
      const path = newPath();
      const manager = modelManager();
      const link = createResumableLink(manager.join(), lease, 1000);
      const lost: unknown[] = [];
      const log = createBatchLog({
        link,
        clock,
        spool: createLogSpool(path, 2 ** 30),
        onRefused: ({ code }) => lost.push(code),
        onLoss: (messages) => lost.push(messages),
      });
      const said: string[] = [];
      for (const { characters, count, phase, fates, back } of pieces) {
        if (back && link.isAway) link.resume(manager.join());
        manager.fates.push(...fates);
        if (phase) {
          said.push('{"status_data":{}}');
          await log.phase('building', {});
        }
        for (let n = 0; n < count; n += 1) {
          const stream = `${said.length} ${'x'.repeat(characters)}\n`;
          said.push(JSON.stringify({ stream, progressDetail: {} }));
          await log.message('building', { stream });
        }
      }
      const flushing = new AbortController();
      const flushed = log.flush().finally(() => flushing.abort());
      while (!flushing.signal.aborted) {
        await new Promise(setImmediate);
        if (link.isAway) link.resume(manager.join());
      }
      await flushed;
      expect(lost).toEqual([]);
      expect(manager.stored).toEqual(said);
      expect(await readdir(directory)).toEqual([]);
    }),
    { numRuns: 60 },
  );
});

const message = (text: string): LogBatch['messages'][number] => ({
  phase: 'building',
  json_data: text,
  time: 0,
});

describe('the queue of a log', () => {
  it('gives out what it took, in order, whatever its disk takes', async () => {
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.integer({ min: 1, max: 700 }).map((push) => ({ push })) },
      { weight: 1, arbitrary: fc.constant({ take: true as const }) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), fc.boolean(), async (steps, hasDisk) => {
        const path = hasDisk ? newPath() : join(directory, 'no such folder', 'log');
        const lost: number[] = [];
        const queue = createLogQueue(createLogSpool(path, 2 ** 20), (messages) => lost.push(messages));
        const given: string[] = [];
        const taken: string[] = [];
        const takeOut = async (): Promise<void> =>
          void taken.push(...(await queue.take()).map(({ json_data }) => json_data));
        for (const each of steps) {
          if ('take' in each) await takeOut();
          else {
            const texts = Array.from(
              { length: each.push },
              (_, n) => `${given.length + n} ${'y'.repeat(3000)}`,
            );
            given.push(...texts);
            // At once, as steps print that run side by side.
            await Promise.all(texts.map((text) => queue.push(message(text))));
          }
        }
        while (!queue.isEmpty) await takeOut();
        await queue.clear();
        expect(taken).toEqual(given);
        expect(lost).toEqual([]);
      }),
      { numRuns: 40 },
    );
  });

  it('goes to disk only while the manager is away, to a file of its own, and up to its bound', async () => {
    const path = newPath();
    const queue = createLogQueue(createLogSpool(path, 100_000), () => undefined);
    while (queue.hasRoom(false)) await queue.push(message('z'.repeat(1000)));
    expect(await readdir(directory)).toEqual([]);
    let spooled = 0;
    while (queue.hasRoom(true)) {
      await queue.push(message('z'.repeat(1000)));
      spooled += 1;
    }
    expect(spooled).toBeGreaterThan(90);
    const { size, mode } = await stat(path);
    expect(size).toBeLessThan(102_000);
    expect(mode & 0o777).toBe(0o600);
    await queue.clear();
    expect(await readdir(directory)).toEqual([]);
  });

  it('waits with the engine where the disk takes nothing', async () => {
    const queue = createLogQueue(
      createLogSpool(join(directory, 'no such folder', 'log'), 100_000),
      () => undefined,
    );
    while (queue.hasRoom(false)) await queue.push(message('z'.repeat(1000)));
    expect(queue.hasRoom(true)).toBe(true);
    await queue.push(message('the last one'));
    expect(queue.hasRoom(true)).toBe(false);
  });

  it('says how much of it cannot be read any more, and goes on', async () => {
    const path = newPath();
    const lost: number[] = [];
    const queue = createLogQueue(createLogSpool(path, 2 ** 20), (messages) => lost.push(messages));
    let inMemory = 0;
    while (queue.hasRoom(false)) {
      await queue.push(message('z'.repeat(10_000)));
      inMemory += 1;
    }
    for (let n = 0; n < 3; n += 1) await queue.push(message(`spooled ${n}`));
    await truncate(path);
    let taken = 0;
    while (!queue.isEmpty) taken += (await queue.take()).length;
    expect([taken, lost]).toEqual([inMemory, [3]]);
    await queue.push(message('after that'));
    expect(await queue.take()).toEqual([message('after that')]);
    await queue.clear();
  });
});
