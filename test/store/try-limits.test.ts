import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startDatabaseServer, type LabDatabaseServer } from '../../lab/database.ts';
import { claimNew, longLimits, openTestStore, record, type TestStore } from './support/store.ts';

/** Which tries are overdue: kept in rows, for whichever manager looks. */

let server: LabDatabaseServer;
beforeAll(async () => {
  server = await startDatabaseServer();
});
afterAll(() => server.stop());

/** As if so many seconds had passed since its worker had the build, and since it was heard. */
async function passed(store: TestStore, seconds: number): Promise<void> {
  const client = new pg.Client(store.url);
  await client.connect();
  await client.query(
    'update tries set handed_over_at = handed_over_at - make_interval(secs => $1), heard_at = heard_at - make_interval(secs => $1)',
    [seconds],
  );
  await client.end();
}

test('a try is late once its time is over, counted from when its worker had the build, and until it ends', async () => {
  await using store = await openTestStore(server);
  const { lease } = await claimNew(store);
  expect(await store.leases.overdue(0)).toEqual([]);
  await store.leases.handOver(lease, { ...longLimits, timeoutSeconds: 100 });
  expect(await store.leases.overdue(0)).toEqual([]);
  await passed(store, 200);
  expect(await store.leases.overdue(0)).toEqual([
    {
      lease,
      phase: null,
      triesCounted: 0,
      timeoutSeconds: 100,
      silenceSeconds: 3600,
      isLate: true,
      workerKeepsLimits: false,
    },
  ]);
  await store.leases.finish(lease, { state: 'complete', outputs: {} });
  expect(await store.leases.overdue(0)).toEqual([]);
});

test('a try of which nothing is heard for too long is overdue, until its worker logs something', async () => {
  await using store = await openTestStore(server);
  const { lease } = await claimNew(store);
  await store.leases.handOver(lease, { ...longLimits, silenceSeconds: 100 });
  await store.leases.enterPhase(lease, 'building');
  await passed(store, 200);
  expect(await store.leases.overdue(0)).toMatchObject([{ lease, isLate: false, phase: 'building' }]);
  await store.logs.append(lease, [record(1)]);
  expect(await store.leases.overdue(0)).toEqual([]);
  await passed(store, 200);
  expect(await store.leases.overdue(0)).toMatchObject([{ lease, isLate: false }]);
  // It counts, too, when nothing of it is kept.
  expect(await store.logs.heard(lease, 0)).toBe(true);
  expect(await store.leases.overdue(0)).toEqual([]);
});

test('a worker that keeps its limits itself has a margin to do so', async () => {
  await using store = await openTestStore(server);
  const { lease } = await claimNew(store);
  const limits = { ...longLimits, timeoutSeconds: 100, silenceSeconds: 100, marginSeconds: 300 };
  await store.leases.handOver(lease, limits);
  await passed(store, 200);
  expect(await store.leases.overdue(0)).toEqual([]);
  await passed(store, 300);
  expect(await store.leases.overdue(0)).toMatchObject([{ isLate: true, workerKeepsLimits: true }]);
});

test('a worker that is away is not silent, and has the same deadline when it is back, at another manager', async () => {
  await using store = await openTestStore(server);
  const { build, lease } = await claimNew(store, {}, { worker: { id: 'w', slot: 0, realm: 'realm-1' } });
  const hash = Buffer.from('hash');
  await store.leases.handOver(lease, { ...longLimits, silenceSeconds: 100, resumeHash: hash });
  await store.leases.suspend(lease, { workerAway: true });
  await passed(store, 200);
  expect(await store.leases.overdue(0)).toEqual([]);
  const [before] = (await store.builds.get(build.id))?.tries ?? [];
  const proof = { buildId: build.id, try: 1, hash };
  const resumed = await store.leases.resume(proof, { realm: 'realm-1', manager: 'manager-2' });
  if (typeof resumed === 'string') throw new Error(resumed);
  await store.leases.renew({ manager: 'manager-2', tokens: [resumed.lease.token], leaseSeconds: 300 });
  expect(await store.leases.overdue(0)).toEqual([]);
  expect((await store.builds.get(build.id))?.tries).toMatchObject([{ deadline: before?.deadline }]);
  await passed(store, 3600);
  expect(await store.leases.overdue(0)).toMatchObject([{ lease: resumed.lease, isLate: true }]);
});

test('nothing is overdue so soon after the database was away', async () => {
  await using store = await openTestStore(server);
  const { lease } = await claimNew(store);
  await store.leases.handOver(lease, longLimits);
  await passed(store, 7200);
  expect(await store.leases.overdue(3600)).toEqual([]);
  expect(await store.leases.overdue(0)).toHaveLength(1);
});

test.each([
  ['has the time that it asks for', 900, 300],
  ['has less where its worker will not live so long', 200, 150],
  ['has most of a short life', 60, 45],
])('a try whose worker was started for it %s', async (_what, lifetimeSeconds, seconds) => {
  await using store = await openTestStore(server);
  const { lease } = await claimNew(store, {}, { worker: null });
  const worker = { id: 'hosted-1', executor: 'local', manager: 'manager-1', realm: 'realm-1' };
  const times = { setupSeconds: 60, lifetimeSeconds };
  await store.hostedWorkers.allocate(lease, { ...worker, ...times, tokenHash: Buffer.alloc(32) });
  const limits = { ...longLimits, timeoutSeconds: 300, lifeReserveSeconds: 100 };
  const given = await store.leases.handOver(lease, limits);
  // What was left of its life went on meanwhile.
  expect(given).toBeLessThanOrEqual(seconds);
  expect(given).toBeGreaterThan(seconds / 2);
});
