import { randomBytes } from 'node:crypto';
import { Readable, Writable } from 'node:stream';
import { gunzipSync, gzipSync } from 'node:zlib';
import { buffer } from 'node:stream/consumers';
import pg from 'pg';
import { pack } from 'tar-stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startDatabaseServer, type LabDatabaseServer } from '../../lab/database.ts';
import { LOG_START } from '../../src/contract/api.ts';
import { backUp, BackupUnusable, openBlobFolder, restore, type BlobStore } from '../../src/store/index.ts';
import { makeDataFolder } from './support/data-folder.ts';
import { claimed, claimNew, claimRequest, log, newBuild, openTestStore, record } from './support/store.ts';

let server: LabDatabaseServer;
beforeAll(async () => {
  server = await startDatabaseServer();
});
afterAll(() => server.stop());

/** A database and a blob folder, and what is done with them. */
interface Place extends AsyncDisposable {
  readonly url: string;
  readonly blobs: BlobStore;
}

async function makePlace(url?: string): Promise<Place> {
  const folder = await makeDataFolder();
  return {
    url: url ?? (await server.createEmptyDatabase()).url,
    blobs: await openBlobFolder(folder.path),
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

const operator = { name: 'command:root', address: null };

async function backUpToBytes(place: Place): Promise<Buffer> {
  return (await backUpPlace(place)).bytes;
}

async function backUpPlace({
  url,
  blobs,
}: Place): Promise<{ bytes: Buffer; missingBlobs: readonly string[] }> {
  const chunks: Buffer[] = [];
  const output = new Writable({
    write(chunk: Buffer, _encoding, done) {
      chunks.push(chunk);
      done();
    },
  });
  const { missingBlobs } = await backUp(output, {
    databaseUrl: url,
    dataDirectory: '',
    log,
    blobs,
    version: '1.2.3',
    by: operator,
    file: '/backups/today',
    onProgress: () => undefined,
  });
  return { bytes: Buffer.concat(chunks), missingBlobs };
}

function restoreBytes(bytes: Buffer, { url, blobs }: Place): ReturnType<typeof restore> {
  return restore(Readable.from([bytes]), {
    databaseUrl: url,
    dataDirectory: '',
    log,
    blobs,
    by: operator,
    file: '/backups/today',
    onProgress: () => undefined,
  });
}

async function query(url: string, text: string): Promise<readonly Record<string, string>[]> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    return (await client.query<Record<string, string>>(text)).rows;
  } finally {
    await client.end();
  }
}

/** Every row of every table, as text; but not that it was restored. */
async function everything(url: string): Promise<Record<string, readonly string[]>> {
  const tables = await query(
    url,
    "select tablename as name from pg_tables where schemaname = 'public' order by 1",
  );
  const all: Record<string, readonly string[]> = {};
  for (const { name = '' } of tables) {
    const rows = await query(
      url,
      name === 'migrations'
        ? 'select name || checksum as row from migrations order by number'
        : `select t::text as row from ${name} t where t::text not like '%backup.restore%' order by 1`,
    );
    all[name] = rows.map(({ row = '' }) => row);
  }
  return all;
}

/** Something of everything that a manager keeps. */
async function fill(place: Place): Promise<{ readonly packageId: string; readonly content: Buffer }> {
  await using store = await openTestStore(server, place.url);
  const content = randomBytes(300_000);
  const { id, size, sha256 } = await place.blobs.put(Readable.from([content]), { maxBytes: content.length });
  await store.packages.create({ id, size, sha256, mediaType: 'application/x-tar' });
  await store.builds.submit(newBuild({ packageId: id, secrets: Buffer.from([0, 1, 2, 255]) }));
  const { build, lease } = await claimNew(store);
  await store.logs.append(lease, [
    record(1, 'NUL \0, half a pair \ud800, \u{1f600}, a\ttab, \\N'),
    record(2),
  ]);
  await store.builds.submit(newBuild({ repository: 'team/waiting', priority: -1 }));
  expect(build.state).toBe('running');
  return { packageId: id, content };
}

test('a restored database has every row of the one that was backed up, and every package', async () => {
  await using from = await makePlace((await server.createDatabase()).url);
  await using to = await makePlace();
  const { packageId, content } = await fill(from);
  const summary = await restoreBytes(await backUpToBytes(from), to);
  expect(summary).toMatchObject({ version: '1.2.3', blobs: 1 });
  expect(await everything(to.url)).toEqual(await everything(from.url));
  const blob = await to.blobs.open(packageId);
  expect(blob && (await buffer(blob.content)).equals(content)).toBe(true);
  await using restored = await openTestStore(server, to.url);
  const { entries } = await restored.audit.list({ action: 'backup' }, { limit: 10 });
  expect(entries).toMatchObject([
    {
      actor: 'command:root',
      action: 'backup.restore',
      object: '/backups/today',
      detail: { version: '1.2.3', created_at: summary.createdAt },
    },
    { actor: 'command:root', action: 'backup.write', object: '/backups/today' },
  ]);
});

test('a backup does without packages of builds that were refused, whose bytes are gone, and misses none', async () => {
  await using from = await makePlace((await server.createDatabase()).url);
  await fill(from);
  await using store = await openTestStore(server, from.url);
  const refused = { id: 'no-bytes', size: 1, sha256: '00', mediaType: 'application/x-tar' };
  await store.packages.create(refused);
  const { bytes, missingBlobs } = await backUpPlace(from);
  expect(missingBlobs).toEqual([]);
  await using to = await makePlace();
  expect(await restoreBytes(bytes, to)).toMatchObject({ blobs: 1 });
});

test('a backup of our own PostgreSQL 18 goes into a PostgreSQL 15', async () => {
  await using older = await startDatabaseServer({ programs: 'of the machine' });
  await using from = await makePlace((await server.createDatabase()).url);
  await using to = await makePlace((await older.createEmptyDatabase()).url);
  await fill(from);
  await restoreBytes(await backUpToBytes(from), to);
  const versions = await Promise.all([from.url, to.url].map((url) => query(url, 'show server_version_num')));
  expect(versions.map(([row]) => Math.floor(Number(Object.values(row ?? {})[0]) / 10_000))).toEqual([18, 15]);
  expect(await everything(to.url)).toEqual(await everything(from.url));
});

test('work goes on in a restored database: in order, with leases that hold and states that are guarded', async () => {
  await using from = await makePlace((await server.createDatabase()).url);
  await using to = await makePlace();
  await fill(from);
  await restoreBytes(await backUpToBytes(from), to);
  await using store = await openTestStore(server, to.url);
  const before = await store.builds.list({}, { limit: 10 });
  await store.builds.submit(newBuild({ repository: 'team/new' }));
  const after = await store.builds.list({}, { limit: 10 });
  expect(after.builds.length).toBe(before.builds.length + 1);
  const { build, lease } = claimed(await store.leases.claim(claimRequest()));
  expect(await store.logs.append(lease, [record(1)])).toBe(1);
  expect((await store.logs.read(build.id, LOG_START, 10)).records).toHaveLength(1);
  await store.builds.cancel(build.id, 'bob');
  await expect(
    query(to.url, "update builds set state = 'waiting' where state = 'cancelled'"),
  ).rejects.toThrow('cannot go from cancelled to waiting');
});

test('a backup is of one moment, while builds are submitted', async () => {
  await using from = await makePlace((await server.createDatabase()).url);
  await using store = await openTestStore(server, from.url);
  const stop = new AbortController();
  const submitting = (async (): Promise<void> => {
    while (!stop.signal.aborted) await claimNew(store);
  })();
  const backups = [await backUpToBytes(from), await backUpToBytes(from)];
  stop.abort();
  await submitting;
  for (const bytes of backups) {
    await using to = await makePlace();
    await restoreBytes(bytes, to);
    const { builds = [], tries = [] } = await everything(to.url);
    // A build is claimed right after it was submitted: one of them at most waits.
    expect(builds.length - tries.length).toBeLessThanOrEqual(1);
  }
});

describe('refuses', () => {
  let backup: Buffer;
  let from: Place;
  beforeAll(async () => {
    from = await makePlace((await server.createDatabase()).url);
    await fill(from);
    backup = await backUpToBytes(from);
  });
  afterAll(() => from[Symbol.asyncDispose]());

  const changed = (change: (tar: Buffer) => Buffer): Buffer => gzipSync(change(gunzipSync(backup)));
  const replaced = (text: string, by: string) => (tar: Buffer) =>
    Buffer.from(tar.toString('latin1').replace(text, by), 'latin1');

  test.for<[name: string, bytes: () => Buffer | Promise<Buffer>, words: string]>([
    ['a file that is cut short', () => backup.subarray(0, backup.length - 2000), 'it is broken or not whole'],
    ['a tar that ends too early', () => changed((tar) => tar.subarray(0, tar.length - 10_240)), 'not whole'],
    ['another file', () => Buffer.from('hello, this is no backup'), 'it is broken or not whole'],
    ['nothing', () => Buffer.alloc(0), 'not whole'],
    ['another tar', () => gzipSync(Buffer.alloc(1024)), 'not whole: its end is missing'],
    [
      'a changed row',
      () => changed(replaced('registry.example', 'registry.evil-ex')),
      'is not as it was written',
    ],
    ['a changed package', () => changed((tar) => flipInBlob(tar)), 'is not as it was written'],
    [
      'a backup of another program',
      () => changed(replaced('"migrations": [\n    "', '"migrations": [\n    "0')),
      'was',
    ],
    [
      'another format',
      () => changed(replaced('"format": 1', '"format": 2')),
      'its manifest.json is of another format',
    ],
    ['a tar with something else', otherTar, 'it does not begin as a backup'],
  ])('%s, and leaves nothing behind', async ([, bytes, words]) => {
    await using to = await makePlace();
    const refused = await restoreBytes(await bytes(), to).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(BackupUnusable);
    expect(String(refused)).toContain(words);
    expect(
      Object.entries(await everything(to.url)).filter(
        ([name, rows]) => name !== 'migrations' && rows.length > 0,
      ),
    ).toEqual([]);
    for (const id of await packageIds()) expect(await to.blobs.open(id)).toBeNull();
    await restoreBytes(backup, to);
  });

  const packageIds = async (): Promise<readonly string[]> =>
    ((await everything(from.url))['packages'] ?? []).map((row) => row.slice(1, 37));

  test('a database that is not empty, and leaves it as it was', async () => {
    await using to = await makePlace((await server.createDatabase()).url);
    await fill(to);
    const before = await everything(to.url);
    await expect(restoreBytes(backup, to)).rejects.toThrow(
      /the database is not empty: its table "\w+" has rows/,
    );
    expect(await everything(to.url)).toEqual(before);
  });

  test('to back up a database in which no manager ever was', async () => {
    await using empty = await makePlace();
    await expect(backUpToBytes(empty)).rejects.toThrow('no manager was ever started');
  });
});

async function otherTar(): Promise<Buffer> {
  const tar = pack();
  tar.entry({ name: '../../etc/hole' }, 'x');
  tar.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of tar) chunks.push(chunk as Buffer);
  return gzipSync(Buffer.concat(chunks));
}

/** Changes one byte of the package, whose entry is the largest. */
function flipInBlob(tar: Buffer): Buffer {
  const at = tar.indexOf('blobs/') + 512 + 1000;
  tar.writeUInt8(tar.readUInt8(at) ^ 1, at);
  return tar;
}
