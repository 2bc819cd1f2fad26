import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startDatabaseServer, type LabDatabaseServer } from '../../lab/database.ts';
import type { HostedWorkerRow, NewHostedWorker, Store } from '../../src/store/index.ts';
import { claimed, claimNew, claimRequest, joining, newBuild, openTestStore } from './support/store.ts';

/** The rows of workers that executors were asked to start, and of their realms. */

let server: LabDatabaseServer;
beforeAll(async () => {
  server = await startDatabaseServer();
});
afterAll(() => server.stop());

const LEAVE_SECONDS = 30;
const hosted = { worker: null };

function newWorker(overrides: Partial<NewHostedWorker> = {}): NewHostedWorker {
  return {
    id: randomUUID(),
    executor: 'local',
    manager: 'manager-1',
    realm: randomUUID(),
    tokenHash: Buffer.from('hash'),
    setupSeconds: 60,
    lifetimeSeconds: 600,
    ...overrides,
  };
}

async function listed(store: Store): Promise<readonly HostedWorkerRow[]> {
  return store.hostedWorkers.list('manager-1', LEAVE_SECONDS);
}

const begun = { manager: 'manager-2', id: 'worker-1', slot: 0, leaseSeconds: 60 };

test('one is written with its realm, and its build runs from when it is there, at whichever manager', async () => {
  await using store = await openTestStore(server);
  const claim = await claimNew(store, { secrets: Buffer.from('sealed') }, hosted);
  const worker = newWorker();
  expect(await store.hostedWorkers.allocate(claim.lease, worker)).toBe(true);
  expect(await store.hostedWorkers.allocate(claim.lease, worker)).toBe(true);
  const { id, executor } = worker;
  expect(await listed(store)).toEqual([
    { id, executor, lease: claim.lease, isWanted: true, isAwaited: true, isAway: false, isOver: false },
  ]);
  expect(await store.hostedWorkers.list('manager-2', LEAVE_SECONDS)).toEqual([]);
  expect(await store.realms.find(worker.realm)).toMatchObject({
    kind: 'hosted',
    tokenHash: worker.tokenHash,
    buildId: claim.build.id,
  });

  await store.realms.markJoined(worker.realm, joining, 300);
  const first = await store.hostedWorkers.begin(worker.realm, begun);
  expect(first).toMatchObject({ lease: claim.lease, build: { id: claim.build.id, state: 'running' } });
  expect(first?.secrets?.toString()).toBe('sealed');
  expect(await store.hostedWorkers.begin(worker.realm, begun)).toEqual(first);
  expect(await listed(store)).toMatchObject([{ isWanted: true, isAwaited: false }]);
  expect(await store.builds.get(claim.build.id)).toMatchObject({
    state: 'running',
    tries: [{ manager: 'manager-2', worker: 'worker-1', slot: 0, realm: worker.realm }],
  });
  const renewal = { tokens: [claim.lease.token], leaseSeconds: 60 };
  expect(await store.leases.renew({ ...renewal, manager: 'manager-1' })).toMatchObject({
    lost: renewal.tokens,
  });
  expect(await store.leases.renew({ ...renewal, manager: 'manager-2' })).toMatchObject({
    renewed: renewal.tokens,
  });
});

test('none is written for a try that has ended, and none begins one', async () => {
  await using store = await openTestStore(server);
  const { build, lease } = await claimNew(store, {}, hosted);
  const worker = newWorker();
  await store.hostedWorkers.allocate(lease, worker);
  await store.builds.cancel(build.id, 'bob');
  expect(await store.hostedWorkers.begin(worker.realm, begun)).toBeNull();
  const late = newWorker();
  expect(await store.hostedWorkers.allocate(lease, late)).toBe(false);
  expect(await store.realms.find(late.realm)).toBeNull();
  expect(await store.hostedWorkers.begin('no such realm', begun)).toBeNull();
});

test('it begins its own try and no later one', async () => {
  await using store = await openTestStore(server);
  const { lease } = await claimNew(store, {}, hosted);
  const worker = newWorker();
  await store.hostedWorkers.allocate(lease, worker);
  await store.leases.giveBack(lease, { outcome: 'lost', counted: false, delaySeconds: 0 });
  claimed(await store.leases.claim(claimRequest(hosted)));
  expect(await store.hostedWorkers.begin(worker.realm, begun)).toBeNull();
});

test.each([
  ['has outlived its time', { lifetimeSeconds: 0 }, false],
  ['did not come in time', { setupSeconds: 0 }, false],
  ['has time', {}, true],
])('one that %s', async (_what, overrides, isWanted) => {
  await using store = await openTestStore(server);
  const { lease } = await claimNew(store, {}, hosted);
  await store.hostedWorkers.allocate(lease, newWorker(overrides));
  expect(await listed(store)).toMatchObject([{ isWanted }]);
});

test.each([
  ['before it came is not wanted', false, LEAVE_SECONDS, false],
  ['after it came may leave by itself', true, LEAVE_SECONDS, true],
  ['after it came, and which does not leave, is not wanted', true, 0, false],
])('one whose try ended %s', async (_what, comes, leaveSeconds, isWanted) => {
  await using store = await openTestStore(server);
  const { build, lease } = await claimNew(store, {}, hosted);
  const worker = newWorker();
  await store.hostedWorkers.allocate(lease, worker);
  if (comes) {
    await store.realms.markJoined(worker.realm, joining, 300);
    await store.hostedWorkers.begin(worker.realm, begun);
  }
  await store.builds.cancel(build.id, 'bob');
  expect(await store.hostedWorkers.list('manager-1', leaveSeconds)).toMatchObject([
    { isWanted, isAwaited: false, isAway: false, isOver: true },
  ]);
});

test('it goes with its realm, and its realm with it', async () => {
  await using store = await openTestStore(server);
  const { lease } = await claimNew(store, {}, hosted);
  const [first, second] = [newWorker(), newWorker()];
  await store.hostedWorkers.allocate(lease, first);
  await store.hostedWorkers.allocate(lease, second);
  await store.realms.remove(first.realm);
  expect((await listed(store)).map(({ id }) => id)).toEqual([second.id]);
  await store.hostedWorkers.remove(second.id);
  await store.hostedWorkers.remove(second.id);
  expect(await listed(store)).toEqual([]);
  expect(await store.realms.find(second.realm)).toBeNull();
});

test('it is withdrawn until it has come, and never after', async () => {
  await using store = await openTestStore(server);
  const { lease } = await claimNew(store, {}, hosted);
  const [first, second] = [newWorker(), newWorker()];
  await store.hostedWorkers.allocate(lease, first);
  expect(await store.hostedWorkers.withdraw(first.id)).toBe(true);
  expect(await store.hostedWorkers.withdraw(first.id)).toBe(false);
  expect(await store.hostedWorkers.begin(first.realm, begun)).toBeNull();
  await store.hostedWorkers.allocate(lease, second);
  await store.hostedWorkers.begin(second.realm, begun);
  expect(await store.hostedWorkers.withdraw(second.id)).toBe(false);
  expect(await store.realms.find(second.realm)).not.toBeNull();
});

test('whoever comes first has it: the worker that comes, or the manager that withdraws it', async () => {
  await using store = await openTestStore(server);
  for (let round = 0; round < 20; round += 1) {
    const { lease } = await claimNew(store, {}, hosted);
    const worker = newWorker();
    await store.hostedWorkers.allocate(lease, worker);
    const [claim, withdrawn] = await Promise.all([
      store.hostedWorkers.begin(worker.realm, begun),
      store.hostedWorkers.withdraw(worker.id),
    ]);
    expect(claim === null).toBe(withdrawn);
  }
});

test('a claim may be for some namespaces alone', async () => {
  await using store = await openTestStore(server);
  await store.builds.submit(newBuild({ namespace: 'other', repository: 'other/app' }));
  expect(await store.leases.claim(claimRequest({ ...hosted, namespaces: ['team'] }))).toBeNull();
  const claim = claimed(await store.leases.claim(claimRequest({ ...hosted, namespaces: ['team', 'other'] })));
  expect(claim.build).toMatchObject({ namespace: 'other', state: 'starting' });
});
