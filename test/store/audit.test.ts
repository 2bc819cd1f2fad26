import { afterAll, beforeAll, expect, test } from 'vitest';
import pg from 'pg';
import { startDatabaseServer, type LabDatabaseServer } from '../../lab/database.ts';
import type { NewAuditEntry } from '../../src/store/index.ts';
import { claimNew, newBuild, openTestStore } from './support/store.ts';

let server: LabDatabaseServer;
beforeAll(async () => {
  server = await startDatabaseServer();
});
afterAll(() => server.stop());

const alice = { name: 'alice', address: '192.0.2.7' };

function entry(overrides: Partial<NewAuditEntry> = {}): NewAuditEntry {
  return { actor: alice, action: 'worker.drain', object: 'worker-1', ...overrides };
}

const page = { limit: 10 };

test('a build says in the trail who submitted and who cancelled it, each once', async () => {
  await using store = await openTestStore(server);
  const build = newBuild({ submittedFrom: '192.0.2.7' });
  await store.builds.submit(build);
  await store.builds.submit(build);
  await store.builds.cancel(build.id, 'bob', '192.0.2.8');
  await store.builds.cancel(build.id, 'carol', '192.0.2.9');
  const { entries } = await store.audit.list({ object: build.id }, page);
  expect(entries).toEqual([
    {
      id: expect.any(Number) as number,
      at: expect.any(Date) as Date,
      actor: 'bob',
      address: '192.0.2.8',
      action: 'build.cancel',
      object: build.id,
      detail: { repository: 'team/app' },
    },
    {
      id: expect.any(Number) as number,
      at: expect.any(Date) as Date,
      actor: 'alice',
      address: '192.0.2.7',
      action: 'build.submit',
      object: build.id,
      detail: { repository: 'team/app', registry: 'registry.example:5000', tag_names: ['latest'] },
    },
  ]);
});

test('what was refused, or had ended, leaves nothing in the trail', async () => {
  await using store = await openTestStore(server);
  await expect(store.builds.submit(newBuild({ packageId: 'none' }))).rejects.toThrow();
  const { build, lease } = await claimNew(store);
  await store.leases.finish(lease, { state: 'complete', outputs: {} });
  await store.builds.cancel(build.id, 'bob');
  const { entries } = await store.audit.list({}, page);
  expect(entries.map(({ action }) => action)).toEqual(['build.submit']);
});

test('the trail is found by who, what, to what and when, a page at a time', async () => {
  await using store = await openTestStore(server);
  await store.audit.record(entry());
  await store.audit.record(entry({ action: 'workers.look', object: 'worker-2\0' }));
  await store.audit.record(entry({ actor: { name: 'bob', address: null }, action: 'worker.forget' }));
  const found = async (filter: Parameters<typeof store.audit.list>[0]): Promise<string[]> =>
    (await store.audit.list(filter, page)).entries.map(({ action }) => action);
  expect(await found({})).toEqual(['worker.forget', 'workers.look', 'worker.drain']);
  expect(await found({ actor: 'bob' })).toEqual(['worker.forget']);
  expect(await found({ action: 'worker' })).toEqual(['worker.forget', 'worker.drain']);
  expect(await found({ action: 'worker.drain' })).toEqual(['worker.drain']);
  expect(await found({ object: 'worker-1' })).toEqual(['worker.forget', 'worker.drain']);
  const first = await store.audit.list({}, { limit: 2 });
  expect(first.entries).toHaveLength(2);
  expect(await found({ since: new Date('2999-01-01') })).toEqual([]);
  expect(await found({ until: new Date('2000-01-01') })).toEqual([]);
  expect(await found({ since: new Date('2000-01-01'), until: new Date('2999-01-01') })).toHaveLength(3);
  const second = await store.audit.list({}, { limit: 2, cursor: first.nextCursor ?? '' });
  expect(second).toMatchObject({ entries: [{ action: 'worker.drain' }], nextCursor: null });
  expect(await store.audit.list({}, { limit: 2, cursor: "1' or true" })).toEqual({
    entries: [],
    nextCursor: null,
  });
});

test('nobody changes what the trail says', async () => {
  await using store = await openTestStore(server);
  await store.audit.record(entry());
  const client = new pg.Client(store.url);
  await client.connect();
  try {
    await expect(client.query("update audit set actor = 'mallory'")).rejects.toThrow(
      'stays as it was written',
    );
  } finally {
    await client.end();
  }
});

test('the trail keeps what is young, and no more than so much of it', async () => {
  await using store = await openTestStore(server);
  for (let count = 0; count < 5; count += 1) await store.audit.record(entry());
  const rules = { keepSeconds: 3600, keepEntries: 1000, limit: 100 };
  expect(await store.retention.deleteAudit(rules)).toBe(0);
  expect(await store.retention.deleteAudit({ ...rules, keepEntries: 2 })).toBe(3);
  expect(await store.retention.deleteAudit({ ...rules, keepSeconds: -60, limit: 1 })).toBe(1);
  expect((await store.audit.list({}, page)).entries).toHaveLength(1);
});
