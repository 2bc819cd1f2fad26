import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startDatabaseServer, type LabDatabaseServer } from '../../lab/database.ts';
import type { NewRealm, WorkerRow } from '../../src/store/index.ts';
import { claimNew, joining, newBuild, openTestStore } from './support/store.ts';

let server: LabDatabaseServer;
beforeAll(async () => {
  server = await startDatabaseServer();
});
afterAll(() => server.stop());

describe('realms', () => {
  const realm = (overrides: Partial<NewRealm> = {}): NewRealm => ({
    name: randomUUID(),
    kind: 'enterprise',
    tokenHash: null,
    buildId: null,
    expiresInSeconds: 60,
    registeredAs: null,
    ...overrides,
  });

  test('only an allocated one is found, with its token', async () => {
    await using store = await openTestStore(server);
    const { id: buildId } = await store.builds.submit(newBuild());
    const hosted = realm({ kind: 'hosted', tokenHash: Buffer.from('hash'), buildId });
    await store.realms.allocate(hosted);
    expect(await store.realms.find(hosted.name)).toMatchObject({
      kind: 'hosted',
      tokenHash: Buffer.from('hash'),
      buildId,
      joinedAt: null,
    });
    for (const name of ['', 'other', 'a\0b']) expect(await store.realms.find(name)).toBeNull();
    await store.realms.remove(hosted.name);
    expect(await store.realms.find(hosted.name)).toBeNull();
  });

  test('one is joined by one worker, whichever managers are asked', async () => {
    await using store = await openTestStore(server);
    const { name } = await store.realms.allocate(realm());
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => store.realms.markJoined(name, joining, 60)),
    );
    expect(answers.filter(Boolean)).toHaveLength(1);
    expect((await store.realms.find(name))?.joinedAt).toBeInstanceOf(Date);
  });

  test('one that expired is as if it had never been, and swept; one that is kept stays', async () => {
    await using store = await openTestStore(server);
    const { name: expired } = await store.realms.allocate(realm({ expiresInSeconds: 0 }));
    const { name: kept } = await store.realms.allocate(realm());
    expect(await store.realms.find(expired)).toBeNull();
    expect(await store.realms.markJoined(expired, joining, 60)).toBe(false);
    await store.realms.keep([expired, kept], 60);
    expect(await store.realms.sweep()).toEqual([expired]);
    expect(await store.realms.find(kept)).not.toBeNull();
  });
});

describe('workers', () => {
  const worker = (overrides: Partial<WorkerRow> = {}): WorkerRow => ({
    realm: randomUUID(),
    id: 'builder-1',
    slot: 0,
    slots: 2,
    kind: 'enterprise',
    state: 'ready',
    labels: { zone: 'a', quote: `"'\\` },
    extensions: ['cancel', 'log-batch'],
    kinds: ['image'],
    address: '127.0.0.1',
    manager: 'manager-1',
    connectedAt: new Date('2026-01-01T00:00:00.123Z'),
    lastSeenAt: new Date(),
    buildId: null,
    registeredAs: 'farm-1',
    ...overrides,
  });

  test('are written many at a time, and again when they change', async () => {
    await using store = await openTestStore(server);
    const second = worker({ slot: 1 });
    const first = worker();
    await store.workers.put([second, first]);
    expect(await store.workers.list()).toEqual([first, second]);
    const busy = { ...first, state: 'busy' as const, buildId: randomUUID() };
    await store.workers.put([busy]);
    expect(await store.workers.list()).toEqual([busy, second]);
    await store.workers.remove([second.realm]);
    expect(await store.workers.list()).toEqual([busy]);
  });

  test('of a manager that starts again, or long unseen, are swept', async () => {
    await using store = await openTestStore(server);
    const mine = worker();
    const unseen = worker({ manager: 'manager-2', lastSeenAt: new Date('2026-01-01T00:00:00Z') });
    const others = worker({ manager: 'manager-3' });
    await store.workers.put([mine, unseen, others]);
    await store.workers.sweep({ manager: 'manager-1' });
    await store.workers.sweep({ unseenForSeconds: 3600 });
    expect(await store.workers.list()).toEqual([others]);
  });
});

describe('capabilities', () => {
  const grant = { hash: Buffer.from('hash'), scopes: ['package:read', 'push'], expiresInSeconds: 60 };

  test('are found by their hash while their try runs', async () => {
    await using store = await openTestStore(server);
    const { build, lease } = await claimNew(store);
    expect(await store.capabilities.grant(lease, grant)).toBe(true);
    expect(await store.capabilities.find(grant.hash)).toMatchObject({
      buildId: build.id,
      try: 1,
      scopes: grant.scopes,
    });
    expect(await store.capabilities.find(Buffer.from('other'))).toBeNull();
    await store.leases.giveBack(lease, { outcome: 'lost', counted: false, delaySeconds: 0 });
    expect(await store.capabilities.find(grant.hash)).toBeNull();
  });

  test('expire, are revoked, and are swept then', async () => {
    await using store = await openTestStore(server);
    const { build, lease } = await claimNew(store);
    await store.capabilities.grant(lease, { ...grant, expiresInSeconds: 0 });
    expect(await store.capabilities.find(grant.hash)).toBeNull();
    await store.capabilities.sweep();
    await store.capabilities.grant(lease, grant);
    await store.capabilities.revokeTry(build.id, 1);
    expect(await store.capabilities.find(grant.hash)).toBeNull();
  });
});

describe('packages', () => {
  const create = { size: 1, sha256: 'ab', mediaType: 'application/zip' };

  test('that nobody needs are condemned, until they are forgotten; no build may have them then', async () => {
    await using store = await openTestStore(server);
    const waiting = await store.packages.create({ ...create, id: randomUUID() });
    const used = await store.packages.create({ ...create, id: randomUUID() });
    const { id: buildId } = await store.builds.submit(newBuild({ packageId: used.id }));
    expect(await store.packages.condemn({ pendingSeconds: 3600, endedSeconds: 0 })).toEqual([]);
    expect(await store.packages.condemn({ pendingSeconds: 0, endedSeconds: 0 })).toEqual([waiting.id]);
    expect(await store.packages.find(waiting.id)).toBeNull();
    await expect(store.builds.submit(newBuild({ packageId: waiting.id }))).rejects.toThrow(waiting.id);
    await store.builds.cancel(buildId, 'bob');
    const condemned = await store.packages.condemn({ pendingSeconds: 3600, endedSeconds: 0 });
    expect(condemned.toSorted()).toEqual([waiting.id, used.id].toSorted());
    await store.packages.forget(condemned);
    expect(await store.packages.condemn({ pendingSeconds: 0, endedSeconds: 0 })).toEqual([]);
  });
});

describe('keys', () => {
  test('of several managers that start together, the first wins', async () => {
    await using store = await openTestStore(server);
    const made = await Promise.all(
      Array.from({ length: 6 }, (_, index) =>
        store.keys.create({
          name: 'registry-1',
          kind: 'registry',
          material: Buffer.from([index]),
          certificate: 'PEM',
          isActive: true,
        }),
      ),
    );
    expect(new Set(made.map(({ material }) => material[0]))).toHaveProperty('size', 1);
    await store.keys.create({
      name: 'registry-2',
      kind: 'registry',
      material: Buffer.of(9),
      certificate: null,
      isActive: false,
    });
    expect(await store.keys.list('registry')).toMatchObject([
      { name: 'registry-2', activeSince: null, certificate: null },
      { name: 'registry-1', activeSince: expect.any(Date) as Date },
    ]);
    expect(await store.keys.list('other')).toEqual([]);
  });

  test('become active once, and are retired but for the one that is used', async () => {
    await using store = await openTestStore(server);
    const by = { name: 'command:root', address: null };
    const key = { kind: 'registry', material: Buffer.of(1), certificate: null };
    await store.keys.create({ ...key, name: 'registry-1', isActive: true });
    await store.keys.create({ ...key, name: 'registry-2', isActive: false });
    expect(await store.keys.retire('registry-1', by)).toBe(false);
    expect(await store.keys.activate('registry-2', by)).toBe(true);
    expect(await store.keys.activate('registry-2', by)).toBe(false);
    expect(await store.keys.activate('registry-3', by)).toBe(false);
    expect(await store.keys.retire('registry-2', by)).toBe(false);
    expect(await store.keys.retire('registry-1', by)).toBe(true);
    expect(await store.keys.retire('registry-1', by)).toBe(false);
    expect((await store.keys.list('registry')).map(({ name }) => name)).toEqual(['registry-2']);
    const { entries } = await store.audit.list({ action: 'key' }, { limit: 10 });
    expect(entries.map(({ action, object }) => [action, object])).toEqual([
      ['key.retire', 'registry-1'],
      ['key.activate', 'registry-2'],
    ]);
  });
});
