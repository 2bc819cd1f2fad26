import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startDatabaseServer, type LabDatabaseServer } from '../../lab/database.ts';
import type { Actor, Store, WorkerRow } from '../../src/store/index.ts';
import { claimed, claimNew, claimRequest, joining, newBuild, openTestStore } from './support/store.ts';

/** Workers that are drained, resumed and forgotten, and what is known of each. */

let server: LabDatabaseServer;
beforeAll(async () => {
  server = await startDatabaseServer();
});
afterAll(() => server.stop());

const alice: Actor = { name: 'alice', address: '192.0.2.7' };
const REASON = { code: 'internalerror', message: '', help: '', base_error: 'forgotten' };

/** Has a worker of this id connected, in a realm of its own. */
async function connected(store: Store, id: string, overrides: Partial<WorkerRow> = {}): Promise<WorkerRow> {
  const { name: realm } = await store.realms.allocate({
    name: randomUUID(),
    kind: 'enterprise',
    tokenHash: null,
    buildId: null,
    expiresInSeconds: 60,
    registeredAs: null,
  });
  const row: WorkerRow = {
    realm,
    id,
    slot: 0,
    slots: 1,
    kind: 'enterprise',
    state: 'ready',
    labels: {},
    extensions: [],
    kinds: ['image'],
    address: '127.0.0.1:5',
    manager: 'manager-1',
    connectedAt: new Date(),
    lastSeenAt: new Date(),
    buildId: null,
    registeredAs: null,
    ...overrides,
  };
  await store.workers.put([row]);
  return row;
}

function claimFor({ id, realm }: WorkerRow): ReturnType<typeof claimRequest> {
  return claimRequest({ worker: { id, slot: 0, realm } });
}

async function audited(store: Store): Promise<unknown[]> {
  const { entries } = await store.audit.list({ action: 'worker' }, { limit: 50 });
  return entries.map(({ actor, action, object }) => [actor, action, object]).toReversed();
}

test('no manager claims a build for a worker from the moment that it is drained, until it is resumed', async () => {
  await using store = await openTestStore(server);
  await using other = await openTestStore(server, store.url);
  const one = await connected(store, 'one');
  const two = await connected(store, 'two');
  await store.builds.submit(newBuild());
  expect(await store.workers.drain('one', alice)).toBe(true);
  expect(await other.leases.claim(claimFor(one))).toBeNull();
  expect(claimed(await other.leases.claim(claimFor(two))).build.state).toBe('running');
  await store.builds.submit(newBuild());
  expect(await other.workers.resume('one', alice)).toBe(true);
  expect(claimed(await store.leases.claim(claimFor(one))).build.state).toBe('running');
});

test('a drained worker is so at its next connection too, and shown with who said so', async () => {
  await using store = await openTestStore(server);
  const first = await connected(store, 'one');
  await store.workers.drain('one', alice);
  await store.workers.drain('one', { name: 'bob', address: null });
  await store.workers.remove([first.realm]);
  expect(await store.workers.list()).toEqual([]);
  expect(await store.workers.history('one', 5)).toMatchObject({ slots: [], drained: { drainedBy: 'alice' } });
  await connected(store, 'one', { state: 'busy', buildId: randomUUID() });
  await connected(store, 'one');
  await connected(store, 'two');
  expect((await store.workers.list()).map(({ id, state }) => `${id} ${state}`).toSorted()).toEqual([
    'one drained',
    'one draining',
    'two ready',
  ]);
  expect(await store.workers.drained()).toMatchObject([{ id: 'one', drainedBy: 'alice' }]);
  await store.workers.resume('one', alice);
  await store.workers.resume('one', alice);
  expect(await audited(store)).toEqual([
    ['alice', 'worker.drain', 'one'],
    ['alice', 'worker.resume', 'one'],
  ]);
});

test('nobody is drained, resumed or forgotten of whom nothing is known', async () => {
  await using store = await openTestStore(server);
  expect(await store.workers.drain('nobody', alice)).toBe(false);
  expect(await store.workers.resume('nobody', alice)).toBe(false);
  expect(await store.workers.forget('nobody', alice, REASON)).toBeNull();
  expect(await store.workers.history('nobody', 5)).toBeNull();
  expect(await audited(store)).toEqual([]);
});

test('what a forgotten worker had is closed for good, and its build goes back at once, not counted', async () => {
  await using store = await openTestStore(server);
  const worker = await connected(store, 'one');
  await store.workers.drain('one', alice);
  await store.workers.resume('one', alice);
  const { build, lease } = await claimNew(store, { maxTries: 1 }, claimFor(worker));
  await store.workers.drain('one', alice);
  const other = await connected(store, 'two');
  expect(await store.realms.forgotten([worker.realm, other.realm])).toEqual([]);
  expect(await store.workers.forget('one', alice, REASON)).toEqual({ slots: 1, builds: [build.id] });
  expect(await store.builds.get(build.id)).toMatchObject({
    state: 'waiting',
    tries: [{ outcome: 'lost', counted: false, error: REASON }],
  });
  // Whatever its manager, or the worker, does now comes too late.
  expect(await store.leases.finish(lease, { state: 'complete', outputs: {} })).toBe(false);
  expect(
    await store.leases.giveBack(lease, { outcome: 'internalerror', counted: true, delaySeconds: 0 }),
  ).toBeNull();
  expect(await store.realms.find(worker.realm)).toBeNull();
  expect(await store.realms.markJoined(worker.realm, joining, 60)).toBe(false);
  await store.realms.keep([worker.realm, other.realm], 60);
  expect(await store.realms.find(worker.realm)).toBeNull();
  expect(await store.realms.forgotten([worker.realm, other.realm])).toEqual([worker.realm]);
  expect((await store.workers.list()).map(({ id }) => id)).toEqual(['two']);
  expect(await store.workers.drained()).toEqual([]);
  expect(claimed(await store.leases.claim(claimFor(other))).build.id).toBe(build.id);
  expect((await audited(store)).at(-1)).toEqual(['alice', 'worker.forget', 'one']);
});

test('a worker is forgotten whose realm has expired while its session lived on', async () => {
  await using store = await openTestStore(server);
  const worker = await connected(store, 'one');
  await store.realms.remove(worker.realm);
  expect(await store.workers.forget('one', alice, REASON)).toEqual({ slots: 1, builds: [] });
  expect(await store.realms.forgotten([worker.realm])).toEqual([worker.realm]);
});

test('what a worker has done is known, newest first, also when it is gone', async () => {
  await using store = await openTestStore(server);
  const worker = await connected(store, 'one');
  for (const outcome of ['complete', 'error', 'lost', 'running'] as const) {
    const { build, lease } = await claimNew(store, { repository: `team/${outcome}` }, claimFor(worker));
    if (outcome === 'complete') await store.leases.finish(lease, { state: 'complete', outputs: {} });
    if (outcome === 'error') await store.leases.finish(lease, { state: 'error', error: REASON });
    if (outcome === 'lost') {
      await store.leases.giveBack(lease, { outcome: 'lost', counted: false, delaySeconds: 0 });
      await store.builds.cancel(build.id, alice.name);
    }
  }
  await store.workers.remove([worker.realm]);
  const history = await store.workers.history('one', 3);
  expect(history).toMatchObject({
    slots: [],
    drained: null,
    running: 1,
    outcomes: { complete: 1, error: 1, internalerror: 0, cancelled: 0, lost: 1 },
  });
  expect(history?.tries.map(({ repository, outcome }) => [repository, outcome])).toEqual([
    ['team/running', null],
    ['team/lost', 'lost'],
    ['team/error', 'error'],
  ]);
});

test('a worker that registered by ticket is in the audit trail, with its ticket and its address, once it is there', async () => {
  await using store = await openTestStore(server);
  const realm = { kind: 'enterprise', tokenHash: null, buildId: null, expiresInSeconds: 60 } as const;
  await store.realms.allocate({ ...realm, name: 'a', registeredAs: 'farm-1' });
  await store.realms.allocate({ ...realm, name: 'b', registeredAs: null });
  expect(await store.audit.list({}, { limit: 5 })).toMatchObject({ entries: [] });
  for (const [name, isFree] of [
    ['a', true],
    ['a', false],
    ['b', true],
  ] as const)
    expect(await store.realms.markJoined(name, joining, 60)).toBe(isFree);
  const { entries } = await store.audit.list({}, { limit: 5 });
  expect(entries).toMatchObject([
    { actor: 'ticket:farm-1', address: '192.0.2.9', action: 'worker.register', object: 'worker-1' },
  ]);
});
