import { afterAll, beforeAll, expect, test } from 'vitest';
import { startDatabaseServer, type LabDatabaseServer } from '../../lab/database.ts';
import { LOG_START, type LogRecord } from '../../src/contract/api.ts';
import { claimed, claimNew, claimRequest, openTestStore, record } from './support/store.ts';

let server: LabDatabaseServer;
beforeAll(async () => {
  server = await startDatabaseServer();
});
afterAll(() => server.stop());

const range = (from: number, to: number): LogRecord[] =>
  Array.from({ length: to - from + 1 }, (_, index) => record(from + index));

test('records come back as they were, in order, whatever they hold', async () => {
  await using store = await openTestStore(server);
  const { build, lease } = await claimNew(store);
  const records: LogRecord[] = [
    record(1, 'NUL \0, half a pair \ud800, \u{1f600}, "quotes" and \\u0000'),
    { ...record(2), phase: null, step: null, stream: 'note', text: '' },
    { ...record(3), stream: 'progress', progress: { id: 'layer', current: 5, total: null } },
  ];
  expect(await store.logs.append(lease, records)).toBe(3);
  expect(await store.logs.read(build.id, LOG_START, 10)).toEqual({ records, more: false });
});

test('records that are stored already are dropped', async () => {
  await using store = await openTestStore(server);
  const { build, lease } = await claimNew(store);
  expect(await store.logs.append(lease, range(1, 5))).toBe(5);
  expect(await store.logs.append(lease, range(1, 5))).toBe(5);
  expect(await store.logs.append(lease, range(3, 8))).toBe(8);
  expect(await store.logs.append(lease, [])).toBe(8);
  expect(await store.logs.append(lease, range(11, 12))).toBe(12);
  const { records } = await store.logs.read(build.id, LOG_START, 100);
  expect(records.map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 11, 12]);
});

test('the same records sent many times at once are stored once', async () => {
  await using store = await openTestStore(server);
  const { build, lease } = await claimNew(store);
  const all = range(1, 200);
  await Promise.all(
    Array.from({ length: 10 }, async () => {
      for (let start = 0; start < all.length; start += 20) {
        await store.logs.append(lease, all.slice(start, start + 30));
      }
    }),
  );
  expect((await store.logs.read(build.id, LOG_START, 1000)).records).toEqual(all);
});

test('a try that has ended stores nothing', async () => {
  await using store = await openTestStore(server);
  const { build, lease } = await claimNew(store);
  await store.logs.append(lease, range(1, 2));
  await store.builds.cancel(build.id, 'bob');
  expect(await store.logs.append(lease, range(3, 4))).toBeNull();
  expect((await store.logs.read(build.id, LOG_START, 10)).records).toHaveLength(2);
});

test('logs that are written and read side by side do not touch each other', async () => {
  await using store = await openTestStore(server);
  const builds = [];
  for (let build = 0; build < 12; build += 1) builds.push(await claimNew(store));
  const ended = builds[3]?.build.id ?? expect.fail();
  await store.builds.cancel(ended, 'bob');
  const logs = await Promise.all(
    builds.map(async ({ build, lease }, index) => {
      for (let start = 1; start < 30; start += 3) {
        const lines = range(start, start + 2).map((line) => ({ ...line, text: `${index}: ${line.seq}` }));
        await store.logs.append(lease, lines);
        await store.logs.read(build.id, { try: 1, seq: start }, 2);
      }
      return store.logs.read(build.id, LOG_START, 1000);
    }),
  );
  for (const [index, { records, more }] of logs.entries()) {
    const expected = index === 3 ? [] : range(1, 30).map(({ seq }) => `${index}: ${seq}`);
    expect(records.map(({ text }) => text)).toEqual(expected);
    expect(more).toBe(false);
  }
});

test('tries follow each other in the log', async () => {
  await using store = await openTestStore(server);
  const first = await claimNew(store);
  await store.logs.append(first.lease, range(1, 3));
  await store.leases.giveBack(first.lease, { outcome: 'lost', counted: false, delaySeconds: 0 });
  const second = claimed(await store.leases.claim(claimRequest()));
  await store.logs.append(second.lease, range(1, 2));
  const { records } = await store.logs.read(first.build.id, { try: 1, seq: 2 }, 10);
  expect(records.map((each) => `${each.try}.${each.seq}`)).toEqual(['1.3', '2.1', '2.2']);
});

test('a long log is read page by page, from any place, through chunks of any size', async () => {
  await using store = await openTestStore(server);
  const { build, lease } = await claimNew(store);
  const all = [...range(1, 3000), record(3001, 'x'.repeat(3_000_000)), ...range(3002, 3050)];
  for (let start = 0; start < 40; start += 1) await store.logs.append(lease, all.slice(start, start + 1));
  expect(await store.logs.append(lease, all)).toBe(3050);
  const read: LogRecord[] = [];
  let position = LOG_START;
  for (;;) {
    const { records, more } = await store.logs.read(build.id, position, 700);
    read.push(...records);
    if (!more) break;
    position = records.at(-1) ?? position;
  }
  expect(read).toEqual(all);
  expect((await store.logs.read(build.id, { try: 1, seq: 3050 }, 10)).records).toEqual([]);
});
