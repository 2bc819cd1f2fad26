import { afterAll, beforeAll, expect, test } from 'vitest';
import pg from 'pg';
import { startDatabaseServer, type LabDatabaseServer } from '../../lab/database.ts';
import { meaningOf } from '../../src/store/failures.ts';
import { DatabaseAway } from '../../src/store/index.ts';
import { claimNew, claimRequest, expireAtOnce, openTestStore } from './support/store.ts';

let server: LabDatabaseServer;
beforeAll(async () => {
  server = await startDatabaseServer();
});
afterAll(() => server.stop());

const coded = (code: string): Error => Object.assign(new Error('x'), { code });

test.each([
  ['a connection that is refused', coded('ECONNREFUSED'), 'away'],
  ['a socket that is not there', coded('ENOENT'), 'away'],
  ['every address refused', new AggregateError([coded('ECONNREFUSED')]), 'away'],
  ['a connection that ended', new Error('Connection terminated unexpectedly'), 'away'],
  ['a server that shuts down', coded('57P01'), 'away'],
  ['any connection exception', coded('08P01'), 'away'],
  ['a server without memory', coded('53200'), 'away'],
  ['a full disk', coded('53100'), 'full'],
  ['a deadlock', coded('40P01'), 'conflict'],
  ['a broken constraint', coded('23505'), 'failed'],
  ['anything else', 'x', 'failed'],
])('%s means what it should for who asked', (_, error, meaning) => {
  expect(meaningOf(error)).toBe(meaning);
});

test('a statement that meets a deadlock is repeated', async () => {
  await using store = await openTestStore(server);
  const { build, lease } = await claimNew(store);
  const other = new pg.Client(store.url);
  await other.connect();
  await other.query('begin');
  // The other way round: first the try, then the build.
  await other.query('update tries set worker = null where build_id = $1', [build.id]);
  const finished = store.leases.finish(lease, { state: 'complete', outputs: {} });
  await expect
    .poll(async () => {
      const { rows } = await other.query<{ waiting: number }>(
        "select count(*)::integer as waiting from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()",
      );
      return rows[0]?.waiting;
    })
    .toBe(1);
  // One of the two is undone by the server; ours, when it is, is asked again.
  await other.query('update builds set priority = 1 where id = $1', [build.id]).then(
    () => other.query('commit'),
    () => other.query('rollback'),
  );
  expect(await finished).toBe(true);
  await other.end();
});

test('a database that is gone is said to be away, since when, and nothing expires', async () => {
  const gone = await startDatabaseServer();
  await using store = await openTestStore(gone);
  const { lease } = await claimNew(store, {}, { leaseSeconds: 0 });
  await gone.stop();
  await expect(store.leases.claim(claimRequest())).rejects.toThrow(DatabaseAway);
  await expect(store.leases.enterPhase(lease, 'building')).rejects.toThrow(DatabaseAway);
  expect(await store.health.ping()).toBe(false);
  expect(store.health.awaySince).toBeInstanceOf(Date);
  expect(await store.leases.expireLeases(expireAtOnce)).toEqual([]);
  expect(await store.leases.overdue(0)).toEqual([]);
});
