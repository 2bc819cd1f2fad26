import { afterAll, beforeAll, expect, test } from 'vitest';
import pg from 'pg';
import { startDatabaseServer, type LabDatabaseServer } from '../../lab/database.ts';
import {
  claimed,
  claimNew,
  claimRequest,
  newBuild,
  nextWakeUp,
  openTestStore,
  record,
} from './support/store.ts';

let server: LabDatabaseServer;
beforeAll(async () => {
  server = await startDatabaseServer();
});
afterAll(() => server.stop());

/** Opens two stores on one database that both listen already. */
async function openTwo() {
  const one = await openTestStore(server);
  const oneListens = nextWakeUp(one, ({ type }) => type === 'resync');
  const two = await openTestStore(server, one.url);
  const twoListens = nextWakeUp(two, ({ type }) => type === 'resync');
  await Promise.all([oneListens, twoListens]);
  return {
    one,
    two,
    [Symbol.asyncDispose]: async () => {
      await one.close();
      await two.close();
    },
  };
}

test('a manager learns at once what another did: a build waits, changed, logged, was cancelled', async () => {
  await using stores = await openTwo();
  const { one, two } = stores;
  const told = (type: string): Promise<unknown> => nextWakeUp(two, (event) => event.type === type);

  const waits = told('queue');
  const { id } = await one.builds.submit(newBuild());
  expect(await waits).toEqual({ type: 'queue' });

  const began = told('build');
  const { lease } = claimed(await one.leases.claim(claimRequest()));
  expect(await began).toEqual({ type: 'build', id });

  const grew = told('log');
  await one.logs.append(lease, [record(1)]);
  expect(await grew).toEqual({ type: 'log', id });

  const changed = told('build');
  await one.leases.enterPhase(lease, 'building');
  expect(await changed).toEqual({ type: 'build', id });

  const ended = told('build');
  await one.builds.cancel(id, 'bob');
  expect(await ended).toEqual({ type: 'build', id });

  const second = await claimNew(one);
  const waitsAgain = told('queue');
  await one.leases.giveBack(second.lease, { outcome: 'lost', counted: false, delaySeconds: 0 });
  expect(await waitsAgain).toEqual({ type: 'queue' });
});

test('a manager that lost its connection listens again, and says that it may have missed something', async () => {
  await using store = await openTestStore(server);
  await nextWakeUp(store, ({ type }) => type === 'resync');
  const resync = nextWakeUp(store, ({ type }) => type === 'resync');
  const admin = new pg.Client(store.url);
  await admin.connect();
  await admin.query(
    'select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()',
  );
  await admin.end();
  expect(await resync).toEqual({ type: 'resync' });
  expect(store.health).toMatchObject({ awaySince: null });
  const waits = nextWakeUp(store, ({ type }) => type === 'queue');
  await store.builds.submit(newBuild());
  expect(await waits).toEqual({ type: 'queue' });
});
