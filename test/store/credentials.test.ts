import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startDatabaseServer, type LabDatabaseServer } from '../../lab/database.ts';
import type { NewCredential } from '../../src/store/index.ts';
import {
  claimed,
  claimNew,
  claimRequest,
  longLimits,
  newBuild,
  nextWakeUp,
  openTestStore,
} from './support/store.ts';

let server: LabDatabaseServer;
beforeAll(async () => {
  server = await startDatabaseServer();
});
afterAll(() => server.stop());

const MAX = 3;
const alice = { name: 'alice', address: '192.0.2.1' };
const credential = (overrides: Partial<NewCredential> = {}): NewCredential => ({
  namespace: 'team',
  registry: 'registry.example:5000',
  username: 'robot',
  password: Buffer.from([1, 0, 255]),
  setBy: alice,
  ...overrides,
});
const able = claimRequest({ extensions: ['registry-auth'] });

describe('credentials of a namespace', () => {
  it('are listed by registry, without passwords, replaced, and removed once', async () => {
    await using store = await openTestStore(server);
    const { credentials } = store;
    await credentials.set(credential(), MAX);
    await credentials.set(credential({ registry: 'docker.io', username: 'hub' }), MAX);
    const replaced = await credentials.set(
      credential({ username: 'robot-2', setBy: { name: 'bob', address: null } }),
      MAX,
    );
    expect(replaced).toEqual({
      namespace: 'team',
      registry: 'registry.example:5000',
      username: 'robot-2',
      setBy: 'bob',
      setAt: expect.any(Date) as Date,
    });
    const listed = await credentials.list('team');
    expect(listed.map(({ registry, username }) => [registry, username])).toEqual([
      ['docker.io', 'hub'],
      ['registry.example:5000', 'robot-2'],
    ]);
    expect(listed).not.toContainEqual(expect.objectContaining({ password: expect.anything() as unknown }));
    expect(await credentials.list('strangers')).toEqual([]);
    expect(await credentials.remove('strangers', 'docker.io', alice)).toBe(false);
    expect(await credentials.remove('team', 'docker.io', alice)).toBe(true);
    expect(await credentials.remove('team', 'docker.io', alice)).toBe(false);
    const { entries } = await store.audit.list({ action: 'credential' }, { limit: 10 });
    expect(entries.map(({ actor, action, object, detail }) => [actor, action, object, detail])).toEqual([
      ['alice', 'credential.remove', 'team/docker.io', { username: 'hub' }],
      ['bob', 'credential.set', 'team/registry.example:5000', { username: 'robot-2' }],
      ['alice', 'credential.set', 'team/docker.io', { username: 'hub' }],
      ['alice', 'credential.set', 'team/registry.example:5000', { username: 'robot' }],
    ]);
  });

  it('are so many and no more; one that is there can be replaced all the same', async () => {
    await using store = await openTestStore(server);
    for (const registry of ['a.example', 'b.example', 'c.example']) {
      expect(await store.credentials.set(credential({ registry }), MAX)).not.toBeNull();
    }
    expect(await store.credentials.set(credential({ registry: 'd.example' }), MAX)).toBeNull();
    expect(await store.credentials.set(credential({ registry: 'a.example' }), MAX)).not.toBeNull();
    expect(await store.credentials.set(credential({ namespace: 'other' }), MAX)).not.toBeNull();
  });

  it('come with a claim of its builds, as they are then, and with no other', async () => {
    await using store = await openTestStore(server);
    await store.builds.submit(newBuild());
    await store.credentials.set(credential(), MAX);
    await store.credentials.set(credential({ namespace: 'strangers', username: 'stranger' }), MAX);
    const { credentials } = claimed(await store.leases.claim(able));
    expect(credentials).toEqual([
      { registry: 'registry.example:5000', username: 'robot', password: Buffer.from([1, 0, 255]) },
    ]);
    const other = await claimNew(store, { namespace: 'others', repository: 'others/app' });
    expect(other.credentials).toEqual([]);
  });

  it('come with a try that is resumed, and with that of a hosted worker', async () => {
    await using store = await openTestStore(server);
    await store.credentials.set(credential(), MAX);
    const { lease } = await claimNew(store, {}, able);
    const hash = Buffer.alloc(32, 7);
    await store.leases.handOver(lease, { ...longLimits, resumeHash: hash });
    const proof = { buildId: lease.buildId, try: lease.try, hash };
    const resumed = await store.leases.resume(proof, { realm: 'realm-1', manager: 'manager-2' });
    expect(resumed).toMatchObject({ credentials: [{ username: 'robot' }] });

    const hosted = await claimNew(store, {}, { ...able, worker: null });
    const worker = { id: 'hosted-1', executor: 'local', manager: 'manager-1', realm: 'realm-2' };
    const times = { setupSeconds: 60, lifetimeSeconds: 600 };
    await store.hostedWorkers.allocate(hosted.lease, { ...worker, ...times, tokenHash: Buffer.alloc(32) });
    const begun = await store.hostedWorkers.begin('realm-2', {
      manager: 'manager-1',
      id: 'hosted-1',
      slot: 0,
      leaseSeconds: 60,
    });
    expect(begun).toMatchObject({ credentials: [{ username: 'robot' }] });
  });

  it('keep its builds from workers that cannot be given them, also builds that waited already, for as long as they are there', async () => {
    await using store = await openTestStore(server);
    await nextWakeUp(store, ({ type }) => type === 'resync');
    await store.builds.submit(newBuild());
    await store.credentials.set(credential(), MAX);
    expect(await store.leases.claim(claimRequest())).toBeNull();
    const woken = nextWakeUp(store, ({ type }) => type === 'queue');
    await store.credentials.remove('team', 'registry.example:5000', alice);
    await woken;
    expect(claimed(await store.leases.claim(claimRequest())).credentials).toEqual([]);
  });
});
