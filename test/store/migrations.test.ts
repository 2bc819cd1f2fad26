import { inspect } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import pg from 'pg';
import { startDatabaseServer, type LabDatabaseServer } from '../../lab/database.ts';
import { StoreUnusable } from '../../src/store/index.ts';
import { loadMigrations, migrate, type Migration } from '../../src/store/migrations.ts';
import { claimNew, openTestStore } from './support/store.ts';

let server: LabDatabaseServer;
beforeAll(async () => {
  server = await startDatabaseServer();
});
afterAll(() => server.stop());

const migrations: readonly Migration[] = [
  { number: 1, name: 'first', text: 'create table first (id integer); insert into first values (1)' },
  { number: 2, name: 'second', text: 'create table second (id integer)' },
];

async function query(url: string, text: string): Promise<readonly Record<string, unknown>[]> {
  const client = new pg.Client(url);
  await client.connect();
  const { rows } = await client.query<Record<string, unknown>>(text);
  await client.end();
  return rows;
}

test('those of this program are numbered from 1 without gaps', () => {
  const numbers = loadMigrations().map(({ number }) => number);
  expect(numbers).toEqual(numbers.map((_, index) => index + 1));
});

test('each runs once, however many programs start together', async () => {
  const { url } = await server.createEmptyDatabase();
  const address = { connectionString: url };
  await Promise.all(Array.from({ length: 8 }, () => migrate(address, migrations)));
  expect(await query(url, 'select count(*)::integer as count from first')).toEqual([{ count: 1 }]);
  expect(await query(url, 'select number, name from migrations order by number')).toEqual([
    { number: 1, name: 'first' },
    { number: 2, name: 'second' },
  ]);
});

test('one that fails leaves nothing of itself, and those before it done', async () => {
  const { url } = await server.createEmptyDatabase();
  const broken = { number: 3, name: 'third', text: 'create table third (id integer); select 1 / 0' };
  await expect(migrate({ connectionString: url }, [...migrations, broken])).rejects.toThrow(
    'division by zero',
  );
  expect(await query(url, "select to_regclass('second') as second, to_regclass('third') as third")).toEqual([
    { second: 'second', third: null },
  ]);
  await migrate({ connectionString: url }, [...migrations, { ...broken, text: 'create table third ()' }]);
});

test('a schema that is newer than the program is refused, and left as it is', async () => {
  const { url } = await server.createEmptyDatabase();
  await migrate({ connectionString: url }, migrations);
  const older = migrate({ connectionString: url }, migrations.slice(0, 1));
  await expect(older).rejects.toThrow(StoreUnusable);
  await expect(older).rejects.toThrow(
    `The database's schema is newer (2, "second") than this program knows (1). ` +
      'Start the version of quay-build-manager that wrote it, or a later one.',
  );
});

test('a manager that runs goes on while a newer one brings the schema further, and is refused when it starts again', async () => {
  const { url } = await server.createDatabase();
  await using older = await openTestStore(server, url);
  const { lease } = await claimNew(older);
  const known = loadMigrations();
  const next = {
    number: known.length + 1,
    name: 'of-a-newer-version',
    text: `alter table builds add column colour text not null default 'blue';
      alter table tries add column shape text; create index tries_by_shape on tries (shape)`,
  };
  await migrate({ connectionString: url }, [...known, next]);
  expect(await older.leases.finish(lease, { state: 'complete', outputs: {} })).toBe(true);
  const { build } = await claimNew(older);
  expect(await older.builds.get(build.id)).toMatchObject({ state: 'running' });
  await expect(openTestStore(server, url)).rejects.toThrow('is newer');
});

test('a migration that was changed after it ran is refused', async () => {
  const { url } = await server.createEmptyDatabase();
  await migrate({ connectionString: url }, migrations);
  const changed = migrations.map((each) => ({ ...each, text: `${each.text};` }));
  await expect(migrate({ connectionString: url }, changed)).rejects.toThrow(
    'Migration 1 ("first") of the database is not the one of this program.',
  );
});

test.each([
  ['postgresql://user:pass-word@127.0.0.1:1/db', /ECONNREFUSED.*Check DATABASE_URL/],
  ['postgresql://user:pass-word@[::1/db', /Check DATABASE_URL/],
])('a database that cannot be used is named so, and its password is not: %s', async (url, words) => {
  const refused = await migrate({ connectionString: url }, migrations).catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(StoreUnusable);
  expect(String(refused)).toMatch(words);
  expect(inspect(refused, { depth: null })).not.toContain('pass-word');
});
