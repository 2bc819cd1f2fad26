import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { systemClock } from '../../src/worker/clock.ts';
import { keepHealth, readHealth, type HealthKeeper } from '../../src/worker/health.ts';

/** What `quay-builder health` reads is what the worker wrote. */

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'quay-health-test-'));
});
afterEach(() => rm(directory, { recursive: true }));

function keep(builders: readonly { busy: boolean }[]): HealthKeeper & AsyncDisposable {
  const keeper = keepHealth({
    directory,
    builders,
    mask: (text) => text.replaceAll('hunter2', '***'),
    clock: systemClock,
    logger: pino({ level: 'silent' }),
  });
  return { ...keeper, [Symbol.asyncDispose]: () => keeper.close() };
}
const words = async (): Promise<string> => (await readHealth(directory)).words;

it('a worker is well when one of its slots takes builds or has one', async () => {
  const builders = [{ busy: false }, { busy: false }, { busy: false }];
  await using keeper = keep(builders);
  await expect.poll(words).toBe('3 not ready: the worker is starting');
  expect(await readHealth(directory)).toMatchObject({ isAlive: true, isReady: false });
  keeper.tell(0, null);
  await expect.poll(words).toBe('1 ready, 2 not ready: the worker is starting');
  expect(await readHealth(directory)).toMatchObject({ isAlive: true, isReady: true });
  builders[1] = { busy: true };
  keeper.tell(2, null);
  await expect.poll(words).toContain('2 ready');
});

it('a slot that builds is well whatever became of its connection', async () => {
  const builder = { busy: true };
  await using keeper = keep([builder]);
  keeper.tell(0, 'the connection was lost');
  await expect
    .poll(() => readHealth(directory))
    .toEqual({ isAlive: true, isReady: true, words: '1 building' });
});

it('shows no secret', async () => {
  await using keeper = keep([{ busy: false }]);
  keeper.tell(0, 'http://me:hunter2@proxy does not answer');
  await expect.poll(words).toBe('1 not ready: http://me:***@proxy does not answer');
});

it('a worker that hangs is told from one that waits', async () => {
  await using _keeper = keep([{ busy: false }]);
  await expect.poll(words).toContain('starting');
  const record = JSON.parse(await readFile(join(directory, 'health'), 'utf8')) as { at: number };
  // A folder that nobody writes to: the next beat may come at any time.
  const copy = await mkdtemp(join(tmpdir(), 'quay-health-test-'));
  await writeFile(join(copy, 'health'), JSON.stringify({ ...record, at: record.at - 3600 }));
  expect(await readHealth(copy)).toMatchObject({ isAlive: false, isReady: false });
  expect((await readHealth(copy)).words).toMatch(/^the worker hangs: it has said nothing for 3\d\d\d s$/);
  await rm(copy, { recursive: true });
});

it.each([
  ['nothing', null],
  ['no JSON', '{"owner":'],
  ['something else', '{"owner": 1}'],
  ['a process that is no more', JSON.stringify({ owner: '1 1', at: 0, slots: [] })],
])('a folder with %s is one without a worker', async (_what, text) => {
  if (text !== null) await writeFile(join(directory, 'health'), text);
  expect(await readHealth(directory)).toEqual({
    isAlive: false,
    isReady: false,
    words: `no worker runs in ${directory}`,
  });
});

it('a worker that ends leaves nothing of it', async () => {
  await keep([{ busy: false }])[Symbol.asyncDispose]();
  expect(await readdir(directory)).toEqual([]);
});
