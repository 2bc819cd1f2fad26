import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import pg from 'pg';
import { startDatabaseServer, type LabDatabaseServer } from '../../lab/database.ts';
import { LOG_START, type LogRecord } from '../../src/contract/api.ts';
import { openBlobFolder, type BlobStore } from '../../src/store/index.ts';
import { makeDataFolder } from './support/data-folder.ts';
import { claimNew, claimRequest, openTestStore, record, type TestStore } from './support/store.ts';

let server: LabDatabaseServer;
beforeAll(async () => {
  server = await startDatabaseServer();
});
afterAll(() => server.stop());

interface Kept extends AsyncDisposable {
  readonly store: TestStore;
  readonly blobs: BlobStore;
  readonly query: (text: string) => Promise<readonly Record<string, unknown>[]>;
}

async function makeStore(): Promise<Kept> {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await makeDataFolder());
  const blobs = await openBlobFolder(folder.path);
  const store = stack.use(await openTestStore(server, undefined, blobs));
  const client = new pg.Client(store.url);
  await client.connect();
  stack.defer(() => client.end());
  const made = stack.move();
  return {
    store,
    blobs,
    query: async (text) => (await client.query<Record<string, unknown>>(text)).rows,
    [Symbol.asyncDispose]: () => made.disposeAsync(),
  };
}

/** A build that has ended, with a log of several chunks; answers with its id and its records. */
async function endedBuild(store: TestStore, lines = 2500): Promise<{ id: string; records: LogRecord[] }> {
  const { build, lease } = await claimNew(store);
  const records = Array.from({ length: lines }, (_, index) =>
    record(index + 1, `line ${index + 1} \0 \u{1f600}\n`),
  );
  if (lines > 0) await store.logs.append(lease, records);
  await store.builds.cancel(build.id, 'bob');
  return { id: build.id, records };
}

async function readAll(store: TestStore, id: string, page: number): Promise<LogRecord[]> {
  const all: LogRecord[] = [];
  for (let position = LOG_START; ;) {
    const { records, more } = await store.logs.read(id, position, page);
    all.push(...records);
    position = all.at(-1) ?? LOG_START;
    if (!more) return all;
  }
}

const archive = { endedSeconds: 0, limit: 100 };
const keepAll = { keepSeconds: 3600, keepBytes: Number.MAX_SAFE_INTEGER };

test('the log of an ended try reads as before once it is packed, from any position, in less room', async () => {
  await using kept = await makeStore();
  const { store, blobs, query } = kept;
  const { id, records } = await endedBuild(store);
  const [before] = await query('select sum(length(records))::integer as size from log_chunks');
  expect(await store.retention.archiveLogs(archive)).toBe(1);
  expect(await query('select from log_chunks')).toEqual([]);
  for (const page of [100, 999, 1000, 5000]) expect(await readAll(store, id, page)).toEqual(records);
  expect((await store.logs.read(id, { try: 1, seq: 1500 }, 3)).records).toEqual(records.slice(1500, 1503));
  const [after] = await query('select size::integer as size, blob_id as blob from log_archives');
  expect(Number(after?.['size'])).toBeLessThan(Number(before?.['size']) / 4);
  expect((await blobs.open(String(after?.['blob'])))?.size).toBe(after?.['size']);
});

test('what runs, and what ended just now, stays as it is', async () => {
  await using kept = await makeStore();
  const { store } = kept;
  const { lease } = await claimNew(store);
  await store.logs.append(lease, [record(1)]);
  await endedBuild(store);
  expect(await store.retention.archiveLogs({ endedSeconds: 3600, limit: 100 })).toBe(0);
  expect(await store.retention.archiveLogs(archive)).toBe(1);
  expect(await store.logs.append(lease, [record(2)])).toBe(2);
});

test('managers that pack at once pack each log once, while it is read', async () => {
  await using kept = await makeStore();
  const { store, blobs } = kept;
  const builds: Awaited<ReturnType<typeof endedBuild>>[] = [];
  for (let count = 0; count < 6; count += 1) builds.push(await endedBuild(store, 1200));
  const reading = builds.map(async ({ id, records }) => {
    for (let times = 0; times < 5; times += 1) expect(await readAll(store, id, 500)).toEqual(records);
  });
  await Promise.all([...reading, ...Array.from({ length: 4 }, () => store.retention.archiveLogs(archive))]);
  for (const { id, records } of builds) expect(await readAll(store, id, 500)).toEqual(records);
  const there: string[] = [];
  for await (const id of blobs.list(-60)) there.push(id);
  expect(there).toHaveLength(builds.length);
});

test('a try without a log is done with at once', async () => {
  await using kept = await makeStore();
  const { store, blobs } = kept;
  const { id } = await endedBuild(store, 0);
  expect(await store.retention.archiveLogs(archive)).toBe(1);
  expect(await store.retention.archiveLogs(archive)).toBe(0);
  expect(await readAll(store, id, 10)).toEqual([]);
  for await (const blob of blobs.list(-60)) expect(blob).toBe('none');
});

test('logs go when they are too old, and the oldest when they are too much', async () => {
  await using kept = await makeStore();
  const { store, blobs, query } = kept;
  const builds: { id: string }[] = [];
  for (let count = 0; count < 3; count += 1) {
    builds.push(await endedBuild(store));
    await store.retention.archiveLogs(archive);
  }
  expect(await store.retention.deleteLogs(keepAll)).toBe(0);
  const [{ size } = { size: 0 }] = await query('select sum(size)::integer as size from log_archives');
  expect(await store.retention.deleteLogs({ ...keepAll, keepBytes: Number(size) - 1 })).toBe(1);
  const left = async (): Promise<number[]> =>
    Promise.all(builds.map(async ({ id }) => (await readAll(store, id, 5000)).length));
  expect(await left()).toEqual([0, 2500, 2500]);
  await sleep(20);
  expect(await store.retention.deleteLogs({ ...keepAll, keepSeconds: 0.01 })).toBe(2);
  expect(await left()).toEqual([0, 0, 0]);
  for await (const blob of blobs.list(-60)) expect(blob).toBe('none');
});

test('the size of all packed logs together is kept with each that comes or goes', async () => {
  await using kept = await makeStore();
  const { store, query } = kept;
  const expectCounted = async (): Promise<void> => {
    const [row] = await query(`select (select size from log_archive_total) as total,
      (select coalesce(sum(size), 0)::bigint from log_archives where condemned_at is null) as sum`);
    expect(row?.['total']).toBe(row?.['sum']);
  };
  for (let count = 0; count < 4; count += 1) await endedBuild(store, 100);
  await Promise.all(Array.from({ length: 3 }, () => store.retention.archiveLogs(archive)));
  await expectCounted();
  await store.retention.deleteLogs({ ...keepAll, keepBytes: 1000 });
  await expectCounted();
  await store.retention.deleteBuilds({ endedSeconds: 0, limit: 2 });
  await expectCounted();
  await store.retention.deleteLogs(keepAll);
  await expectCounted();
});

test('old builds go with all that was theirs, and those that are not finished stay', async () => {
  await using kept = await makeStore();
  const { store, query } = kept;
  const { build: running } = await claimNew(store);
  const { id } = await endedBuild(store);
  await store.retention.archiveLogs(archive);
  // First its log, which then goes, then the build.
  expect(await store.retention.deleteBuilds({ endedSeconds: 0, limit: 10 })).toBe(0);
  await store.retention.deleteLogs(keepAll);
  expect(await store.retention.deleteBuilds({ endedSeconds: 3600, limit: 10 })).toBe(0);
  expect(await store.retention.deleteBuilds({ endedSeconds: 0, limit: 10 })).toBe(1);
  expect(await store.builds.get(id)).toBeNull();
  expect(await store.builds.get(running.id)).not.toBeNull();
  expect(await query('select from tries')).toHaveLength(1);
  expect(await store.leases.claim(claimRequest())).toBeNull();
});

test('a blob that nothing names goes once it is old, and no other', async () => {
  await using kept = await makeStore();
  const { store, blobs } = kept;
  const content = (): Readable => Readable.from(['text']);
  const orphan = await blobs.put(content(), { maxBytes: 10 });
  const ofPackage = await blobs.put(content(), { maxBytes: 10 });
  await store.packages.create({ ...ofPackage, mediaType: 'application/x-tar' });
  await endedBuild(store, 5);
  await store.retention.archiveLogs(archive);
  expect(await store.retention.deleteOrphans(3600)).toBe(0);
  expect(await store.retention.deleteOrphans(-60)).toBe(1);
  expect(await blobs.open(orphan.id)).toBeNull();
  expect(await blobs.read(ofPackage.id, { start: 1, length: 2 })).toEqual(Buffer.from('ex'));
  expect(await blobs.read(randomUUID(), { start: 0, length: 1 })).toBeNull();
  expect(await store.retention.deleteOrphans(-60)).toBe(0);
});
