import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startDatabaseServer, type LabDatabaseServer } from '../../lab/database.ts';
import type { ClaimRequest, NewBuild, Store } from '../../src/store/index.ts';
import { finish, operator, submit } from './support/claims.ts';
import { claimed, claimRequest, openTestStore } from './support/store.ts';

let server: LabDatabaseServer;
beforeAll(async () => {
  server = await startDatabaseServer();
});
afterAll(() => server.stop());

describe('an exclusive build', () => {
  test('waits for another of its repository and tag, and holds up none but its like', async () => {
    await using store = await openTestStore(server);
    await submit(store, 'team');
    const running = claimed(await store.leases.claim(claimRequest()));
    const same = await submit(store, 'team', { exclusive: true, priority: 9 });
    const otherTag = await submit(store, 'team', { exclusive: true, tagNames: ['v1'] });
    const plain = await submit(store, 'team');
    const next = async (): Promise<string | undefined> =>
      (await store.leases.claim(claimRequest()))?.build.id;
    expect([await next(), await next()]).toEqual([otherTag, plain]);
    expect(await next()).toBeUndefined();
    await finish(store, running);
    // The plain one, which asked for nothing, still runs.
    expect(await next()).toBeUndefined();
    await store.builds.cancel(plain, 'alice');
    expect(await next()).toBe(same);
  });

  test('is one at a time, however many managers claim at once', async () => {
    await using store = await openTestStore(server);
    await using other = await openTestStore(server, store.url);
    for (const tagNames of [['a'], ['a', 'b'], ['b'], ['a', 'c']]) {
      await submit(store, 'team', { exclusive: true, tagNames });
    }
    const ended: string[] = [];
    while (ended.length < 4) {
      const claims = await Promise.all(
        [store, other, store, other].map(({ leases }) => leases.claim(claimRequest())),
      );
      const running = claims.filter((claim) => claim !== null);
      const tags = running.flatMap(({ build }) => build.tagNames);
      expect(new Set(tags).size).toBe(tags.length);
      expect(running).not.toEqual([]);
      for (const claim of running) await finish(store, claim);
      ended.push(...running.map(({ build }) => build.id));
    }
  });
});
describe('of several slots that are ready', () => {
  const slots = ['one', 'two', 'three'].map((id) => ({ id, slot: 0, realm: `realm-of-${id}` }));
  const [one, two, three] = slots as [(typeof slots)[0], (typeof slots)[0], (typeof slots)[0]];

  /** A worker builds something, from this base image. */
  const built = async (store: Store, worker: typeof one, repository: string, base: string): Promise<void> => {
    await submit(store, 'team', { repository });
    const claim = claimed(await store.leases.claim(claimRequest({ worker })));
    await store.leases.enterPhase(claim.lease, 'pulling', base);
    await store.leases.enterPhase(claim.lease, 'building');
    await finish(store, claim);
  };
  const next = async (
    store: Store,
    repository: string,
    request: Partial<ClaimRequest>,
  ): Promise<string | null> => {
    await submit(store, 'team', { repository });
    const claim = claimed(await store.leases.claim(claimRequest(request)));
    await finish(store, claim);
    return claim.realm;
  };

  test('the one gets a build whose worker built the repository last', async () => {
    await using store = await openTestStore(server);
    await built(store, two, 'team/app', 'debian:12');
    await built(store, three, 'team/app', 'debian:12');
    expect(await next(store, 'team/app', { worker: one, others: [two, three] })).toBe(three.realm);
    expect((await store.builds.list({}, { limit: 1 })).builds[0]?.tries).toMatchObject([{ worker: 'three' }]);
    // Nobody else is ready: it starts at once.
    expect(await next(store, 'team/app', { worker: one })).toBe(one.realm);
    expect(await next(store, 'team/other', { worker: two, others: [one, three] })).toBe(two.realm);
  });

  test('else the one whose worker has the base image that the repository had', async () => {
    await using store = await openTestStore(server);
    await built(store, one, 'team/app', 'debian:12');
    await built(store, two, 'ops/tool', 'alpine:3');
    await built(store, three, 'ops/db', 'debian:12');
    expect(await next(store, 'team/app', { worker: two, others: [three] })).toBe(three.realm);
  });

  test('one that offers something else gets only what fits it', async () => {
    await using store = await openTestStore(server);
    await built(store, two, 'team/app', 'debian:12');
    const other = { ...two, kinds: ['image'], extensions: [], labels: { zone: 'north' } };
    expect(await next(store, 'team/app', { worker: one, others: [other] })).toBe(two.realm);
    const kept = { ...other, labels: { '!zone': 'north' } };
    expect(await next(store, 'team/app', { worker: one, others: [kept] })).toBe(one.realm);
    await store.credentials.set(
      {
        namespace: 'team',
        registry: 'registry.example',
        username: 'u',
        password: Buffer.from('x'),
        setBy: operator,
      },
      1,
    );
    const able = { extensions: ['registry-auth'] };
    expect(await next(store, 'team/app', { worker: one, others: [other], ...able })).toBe(one.realm);
    expect(await next(store, 'team/app', { worker: one, others: [{ ...other, ...able }], ...able })).toBe(
      two.realm,
    );
  });

  test('each goes before a worker that would have to be started', async () => {
    await using store = await openTestStore(server);
    const offer = { kinds: ['image'], extensions: [], labels: {} };
    const north = { ...one, ...offer, labels: { zone: 'north' } };
    const others = [north, { ...two, ...offer }, { ...three, ...offer }];
    const claim = async (overrides: Partial<NewBuild>): Promise<unknown> => {
      const id = await submit(store, 'team', overrides);
      const { realm } = claimed(
        await store.leases.claim(claimRequest({ worker: null, others, labels: { zone: '*' } })),
      );
      const { state, tries } = (await store.builds.get(id)) ?? {};
      return { realm, state, workers: tries?.map(({ worker }) => worker) };
    };
    expect(await claim({ workerLabels: ['zone=south'] })).toEqual({
      realm: null,
      state: 'starting',
      workers: [null],
    });
    expect(await claim({ workerLabels: ['zone=north'] })).toEqual({
      realm: one.realm,
      state: 'running',
      workers: ['one'],
    });
    await built(store, three, 'team/warm', 'debian:12');
    expect(await claim({ repository: 'team/warm' })).toMatchObject({ realm: three.realm });
    await store.workers.drain('one', operator);
    expect(await claim({ workerLabels: ['zone=north'] })).toMatchObject({ realm: null, state: 'starting' });
    expect(await claim({ repository: 'team/cold' })).toMatchObject({ realm: two.realm, state: 'running' });
  });
});
test('a try begins when its claim gets through, not when it was asked for', async () => {
  await using store = await openTestStore(server);
  const id = await submit(store, 'team');
  const other = new pg.Client({ connectionString: store.url });
  await other.connect();
  try {
    await other.query('begin');
    await other.query('select pg_advisory_xact_lock(1903518073, 1)');
    const claiming = store.leases.claim(claimRequest());
    const waiting = `select from pg_locks where locktype = 'advisory' and not granted
      and database = (select oid from pg_database where datname = current_database())`;
    await expect.poll(async () => (await other.query(waiting)).rowCount).toBe(1);
    const { rows } = await other.query<{ now: Date }>('select clock_timestamp() as now');
    await other.query('commit');
    claimed(await claiming);
    const [attempt] = (await store.builds.get(id))?.tries ?? [];
    expect(attempt?.startedAt.getTime()).toBeGreaterThanOrEqual(rows[0]?.now.getTime() ?? Infinity);
  } finally {
    await other.end();
  }
});
