import fc from 'fast-check';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startDatabaseServer, type LabDatabaseServer } from '../../lab/database.ts';
import {
  NamespaceFull,
  type Claim,
  type ClaimRequest,
  type NamespaceLimits,
  type NewBuild,
  type Store,
} from '../../src/store/index.ts';
import { claimed, claimRequest, newBuild, nextWakeUp, openTestStore } from './support/store.ts';

let server: LabDatabaseServer;
beforeAll(async () => {
  server = await startDatabaseServer();
});
afterAll(() => server.stop());

const operator = { name: 'operator', address: null };
const noLimits: NamespaceLimits = { weight: null, maxRunning: null, maxWaiting: null };

async function submit(store: Store, namespace: string, overrides: Partial<NewBuild> = {}): Promise<string> {
  const { id } = await store.builds.submit(
    newBuild({ namespace, repository: `${namespace}/app`, ...overrides }),
  );
  return id;
}

async function submitMany(store: Store, namespace: string, builds: number): Promise<void> {
  await Promise.all(Array.from({ length: builds }, () => submit(store, namespace)));
}

/** Claims so many, one after the other, and says of which namespaces they are. */
async function served(store: Store, claims: number, request: Partial<ClaimRequest> = {}): Promise<string[]> {
  const namespaces: string[] = [];
  for (let count = 0; count < claims; count += 1) {
    namespaces.push(claimed(await store.leases.claim(claimRequest(request))).build.namespace);
  }
  return namespaces;
}

const counted = (names: readonly string[]): Record<string, number> =>
  Object.fromEntries(
    Map.groupBy(names, (name) => name)
      .entries()
      .map(([name, all]) => [name, all.length]),
  );

const finish = (store: Store, { lease }: Claim): Promise<boolean> =>
  store.leases.finish(lease, { state: 'complete', outputs: {} });

describe('the share of a namespace', () => {
  test('is as large as any other, however many builds it has', async () => {
    await using store = await openTestStore(server);
    await submitMany(store, 'large', 20);
    await submitMany(store, 'small', 3);
    expect(counted(await served(store, 6))).toEqual({ large: 3, small: 3 });
  });

  test('is by its weight', async () => {
    await using store = await openTestStore(server);
    await store.namespaces.set('double', { ...noLimits, weight: 2 }, operator);
    for (const name of ['one', 'double', 'another']) await submitMany(store, name, 12);
    expect(counted(await served(store, 16))).toEqual({ one: 4, double: 8, another: 4 });
  });

  test('is not saved up while it has no builds', async () => {
    await using store = await openTestStore(server);
    await submitMany(store, 'busy', 20);
    await served(store, 10);
    await submitMany(store, 'late', 10);
    expect(counted(await served(store, 6))).toEqual({ busy: 3, late: 3 });
  });

  test('is no matter of priority, which counts inside of it', async () => {
    await using store = await openTestStore(server);
    await submit(store, 'calm');
    const low = await submit(store, 'urgent', { priority: 8 });
    const high = await submit(store, 'urgent', { priority: 9 });
    const claims = [];
    for (let count = 0; count < 3; count += 1)
      claims.push(claimed(await store.leases.claim(claimRequest())).build);
    expect(claims.filter(({ namespace }) => namespace === 'urgent').map(({ id }) => id)).toEqual([high, low]);
    expect(claims.findIndex(({ namespace }) => namespace === 'calm')).toBeLessThan(2);
  });

  test('is not lost by those who wait for a worker of their own', async () => {
    await using store = await openTestStore(server);
    for (const name of ['picky', 'plain']) await submitMany(store, name, 4);
    await Promise.all(Array.from({ length: 4 }, () => submit(store, 'picky', { workerLabels: ['gpu=*'] })));
    const gpu = { labels: { gpu: 'a100' } };
    expect(counted(await served(store, 6))).toEqual({ picky: 3, plain: 3 });
    expect(counted(await served(store, 5, gpu))).toEqual({ picky: 4, plain: 1 });
  });

  test('holds for any weights, within one build each', async () => {
    await using store = await openTestStore(server);
    let runs = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 8 }), { minLength: 2, maxLength: 4 }),
        fc.integer({ min: 4, max: 16 }),
        async (weights, claims) => {
          runs += 1;
          const names = weights.map((_, index) => `run-${runs}-${index}`);
          for (const [index, name] of names.entries()) {
            await store.namespaces.set(name, { ...noLimits, weight: weights[index] ?? 1 }, operator);
            await submitMany(store, name, claims);
          }
          const shares = counted(await served(store, claims, { namespaces: names }));
          const steps = names.map((name, index) => ({
            taken: (shares[name] ?? 0) / (weights[index] ?? 1),
            step: 1 / (weights[index] ?? 1),
          }));
          for (const one of steps) {
            for (const other of steps) {
              expect(one.taken - other.taken).toBeLessThanOrEqual(one.step + other.step + 1e-9);
            }
          }
        },
      ),
      { numRuns: 6 },
    );
  });
});

describe('a namespace', () => {
  test('runs no more builds than it may, and goes on when one ends', async () => {
    await using store = await openTestStore(server);
    await submitMany(store, 'team', 3);
    const request = claimRequest({ defaultMaxRunning: 1 });
    const first = claimed(await store.leases.claim(request));
    expect(await store.leases.claim(request)).toBeNull();
    await store.namespaces.set('team', { ...noLimits, maxRunning: 2 }, operator);
    claimed(await store.leases.claim(request));
    expect(await store.leases.claim(request)).toBeNull();
    await finish(store, first);
    claimed(await store.leases.claim(request));
  });

  test('at its limit holds up no other', async () => {
    await using store = await openTestStore(server);
    await submitMany(store, 'full', 3);
    await submit(store, 'other');
    await store.namespaces.set('full', { ...noLimits, maxRunning: 0 }, operator);
    expect(await served(store, 1)).toEqual(['other']);
    expect(await store.leases.claim(claimRequest())).toBeNull();
  });

  test('has its limit raised, and whoever claims is told', async () => {
    await using store = await openTestStore(server);
    await store.namespaces.set('team', { ...noLimits, maxRunning: 0 }, operator);
    await submit(store, 'team');
    let told = false;
    void nextWakeUp(store, ({ type }) => type === 'queue').then(() => (told = true));
    let maxRunning = 0;
    await expect
      .poll(
        async () => {
          maxRunning += 1;
          await store.namespaces.set('team', { ...noLimits, maxRunning }, operator);
          return told;
        },
        { timeout: 60_000 },
      )
      .toBe(true);
  });

  test('has no more builds waiting than it may, unless they are there already', async () => {
    await using store = await openTestStore(server);
    const full = { namespace: 'team', defaultMaxWaiting: 2 };
    const first = await store.builds.submit(newBuild({ ...full, dedupeKey: 'first' }));
    await store.builds.submit(newBuild(full));
    await expect(store.builds.submit(newBuild(full))).rejects.toThrow(new NamespaceFull('team', 2));
    expect((await store.builds.submit(newBuild({ ...full, dedupeKey: 'first' }))).id).toBe(first.id);
    await store.builds.submit(newBuild({ ...full, namespace: 'other' }));
    await store.namespaces.set('team', { ...noLimits, maxWaiting: 3 }, operator);
    await store.builds.submit(newBuild(full));
    await expect(store.builds.submit(newBuild(full))).rejects.toThrow(NamespaceFull);
    await store.leases.claim(claimRequest({ namespaces: ['team'] }));
    await store.builds.submit(newBuild(full));
  });

  test('is listed while it has settings or builds, and forgotten when it is as if it had never been', async () => {
    await using store = await openTestStore(server);
    await submitMany(store, 'idle', 1);
    await submitMany(store, 'team', 2);
    await store.namespaces.set('set', { weight: 2, maxRunning: 3, maxWaiting: 4 }, operator);
    const first = claimed(await store.leases.claim(claimRequest({ namespaces: ['idle'] })));
    await finish(store, first);
    await served(store, 2, { namespaces: ['team'] });
    const expected = [
      { name: 'set', weight: 2, maxRunning: 3, maxWaiting: 4, running: 0, waiting: 0 },
      { name: 'team', ...noLimits, running: 2, waiting: 0 },
    ];
    await store.namespaces.sweep();
    expect(await store.namespaces.list({ limit: 10 })).toEqual({ namespaces: expected, nextCursor: null });
    expect(await store.namespaces.list({ limit: 1 })).toEqual({
      namespaces: expected.slice(0, 1),
      nextCursor: 'set',
    });
    expect(await store.namespaces.list({ limit: 1, cursor: 'set' })).toEqual({
      namespaces: expected.slice(1),
      nextCursor: null,
    });
    await store.namespaces.reset('set', operator);
    expect(await store.namespaces.get('set')).toEqual({ ...noLimits, name: 'set', running: 0, waiting: 0 });
    const { entries } = await store.audit.list({ object: 'set' }, { limit: 10 });
    expect(entries.map(({ action, actor, detail }) => ({ action, actor, detail }))).toEqual([
      { action: 'namespace.reset', actor: 'operator', detail: {} },
      { action: 'namespace.set', actor: 'operator', detail: { weight: 2, max_running: 3, max_waiting: 4 } },
    ]);
  });
});

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

test('whatever is submitted, each build is claimed once, and no limit is exceeded by managers that claim at once', async () => {
  await using store = await openTestStore(server);
  await using second = await openTestStore(server, store.url);
  await using third = await openTestStore(server, store.url);
  const build = fc.record({
    namespace: fc.nat({ max: 2 }),
    priority: fc.nat({ max: 2 }),
    exclusive: fc.boolean(),
    tagNames: fc.subarray(['a', 'b'], { minLength: 1 }),
    workerLabels: fc.constantFrom([], ['zone=north']),
  });
  const space = fc.record({ limit: fc.integer({ min: 1, max: 3 }), weight: fc.integer({ min: 1, max: 4 }) });
  let runs = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(build, { minLength: 6, maxLength: 16 }),
      fc.tuple(space, space, space),
      async (builds, spaces) => {
        runs += 1;
        const name = (index: number): string => `any-${runs}-${index}`;
        const limits = new Map(spaces.map(({ limit }, index) => [name(index), limit]));
        for (const [index, { limit, weight }] of spaces.entries()) {
          await store.namespaces.set(name(index), { weight, maxRunning: limit, maxWaiting: null }, operator);
        }
        const submitted = await Promise.all(
          builds.map(({ namespace, ...rest }) => submit(store, name(namespace), rest)),
        );
        const claimedIds: string[] = [];
        let running: Claim[] = [];
        while (claimedIds.length < submitted.length) {
          const claims = await Promise.all(
            [store, second, third, store, second, third].map(({ leases }, index) =>
              leases.claim(claimRequest({ labels: index % 2 === 0 ? { zone: 'north' } : {} })),
            ),
          );
          const fresh = claims.filter((claim) => claim !== null);
          claimedIds.push(...fresh.map(({ build: { id } }) => id));
          running.push(...fresh);
          for (const [namespace, own] of Map.groupBy(running, (each) => each.build.namespace)) {
            expect(own.length).toBeLessThanOrEqual(limits.get(namespace) ?? 0);
          }
          // Nobody starves: with nothing in its way, something starts.
          expect(running.length).toBeGreaterThan(0);
          const [oldest, ...rest] = running;
          if (oldest) await finish(store, oldest);
          running = rest;
        }
        for (const claim of running) await finish(store, claim);
        expect(claimedIds.toSorted()).toEqual(submitted.toSorted());
      },
    ),
    { numRuns: 6 },
  );
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
