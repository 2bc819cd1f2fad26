import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startDatabaseServer, type LabDatabaseServer } from '../../lab/database.ts';
import { NamespaceFull, type Claim } from '../../src/store/index.ts';
import { counted, finish, noLimits, operator, served, submit, submitMany } from './support/claims.ts';
import { claimed, claimRequest, newBuild, nextWakeUp, openTestStore } from './support/store.ts';

let server: LabDatabaseServer;
beforeAll(async () => {
  server = await startDatabaseServer();
});
afterAll(() => server.stop());

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
