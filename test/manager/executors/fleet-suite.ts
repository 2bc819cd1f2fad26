import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { startDatabaseServer, type LabDatabaseServer } from '../../../lab/database.ts';
import type { ExecutorEntry } from '../../../src/manager/executors/executors-file.ts';
import { createFleet, type Fleet } from '../../../src/manager/executors/fleet.ts';
import { openExecutor } from '../../../src/manager/executors/open-executor.ts';
import { hashSecret } from '../../../src/manager/secrets/tokens.ts';
import { claimNew, joining, longLimits, openTestStore, type TestStore } from '../../store/support/store.ts';
import { marked, newOrder, type ExecutorUnderTest } from './conformance.ts';

/** What a manager keeps with an executor, whatever it starts its workers on: nobody waits for a worker for ever, and none stays. */
export function fleetSuite(name: string, make: () => Promise<ExecutorUnderTest>): void {
  describe(`a manager with ${name}`, () => {
    let server: LabDatabaseServer;
    beforeAll(async () => {
      server = await startDatabaseServer();
    });
    afterAll(() => server.stop());

    const openFleet = async (
      store: TestStore,
      { surroundings }: ExecutorUnderTest,
      entry: ExecutorEntry,
    ): Promise<Fleet & AsyncDisposable> => {
      const fleet = createFleet({
        executors: [await openExecutor(entry, surroundings)],
        hostedWorkers: store.hostedWorkers,
        leases: store.leases,
        manager: 'manager-1',
        onLaunchEnd: () => undefined,
        logger: { info: () => undefined, warn: () => undefined },
        now: Date.now,
        signal: new AbortController().signal,
      });
      const hasRoom = vi.fn();
      fleet.open('ws://127.0.0.1:9', hasRoom);
      await expect.poll(() => hasRoom).toHaveBeenCalled();
      return { ...fleet, [Symbol.asyncDispose]: () => fleet.stop() };
    };
    const soon = { timeout: 60_000 };

    test.each([
      ['does not come in time', { setup_seconds: 1 }, 'not ready within 1 s'],
      ['ends before', { environment: { MARK: 'no number' } }, 'ended before it was ready'],
    ])('gives a build back whose worker %s, with what happened', async (_what, overrides, words) => {
      await using under = await make();
      await using store = await openTestStore(server);
      const { entry, running } = marked(under.entry);
      await using fleet = await openFleet(store, under, { ...entry, ...overrides });
      const claim = await claimNew(store, {}, { worker: null });
      const [executor] = fleet.rooms();
      if (!executor) throw new Error('there is no room');
      expect(await fleet.launch(executor, claim).done).toBe('failed');
      expect(await store.builds.get(claim.build.id)).toMatchObject({
        state: 'waiting',
        tries: [
          {
            outcome: 'lost',
            counted: false,
            error: { base_error: expect.stringContaining(words) as string },
          },
        ],
      });
      expect(await running()).toBe(0);
      expect(await executor.list()).toEqual([]);
      expect(await store.hostedWorkers.list('manager-1', 30)).toEqual([]);
      // The executor is left alone for a while.
      expect(fleet.rooms()).toEqual([]);
    });

    test('loses the try of a worker that has ended once nobody has its connection, and waits for nothing else', async () => {
      await using under = await make();
      await using store = await openTestStore(server);
      const { build, lease } = await claimNew(store, {}, { worker: null });
      const order = newOrder();
      await store.hostedWorkers.allocate(lease, {
        ...order,
        executor: under.entry.name,
        manager: 'manager-1',
        tokenHash: hashSecret(order.token),
        setupSeconds: 60,
        lifetimeSeconds: 600,
      });
      const worker = { manager: 'manager-2', id: 'hosted', slot: 0, leaseSeconds: 600 };
      await store.realms.markJoined(order.realm, joining, 600);
      await store.hostedWorkers.begin(order.realm, worker);
      await store.leases.handOver(lease, { ...longLimits, resumeHash: hashSecret('comes back') });
      // It ends at once.
      const entry = { ...under.entry, environment: { ...under.entry.environment, MARK: 'no number' } };
      const executor = await openExecutor(entry, under.surroundings);
      await executor.start(order);
      await expect.poll(async () => (await executor.list())[0]?.state, soon).toBe('ended');

      // Another manager has its connection: that one says what becomes of the try.
      const lists = vi.spyOn(store.hostedWorkers, 'list');
      await using _fleet = await openFleet(store, under, entry);
      const looks = lists.mock.calls.length;
      await expect.poll(() => lists.mock.calls.length, soon).toBeGreaterThan(looks + 1);
      expect(await store.builds.get(build.id)).toMatchObject({ state: 'running' });

      await store.leases.suspend(lease, { workerAway: true });
      await expect.poll(async () => (await store.builds.get(build.id))?.state, soon).toBe('waiting');
      expect(await store.builds.get(build.id)).toMatchObject({
        triesCounted: 1,
        tries: [
          {
            outcome: 'lost',
            counted: true,
            error: { base_error: expect.stringContaining('ended before its build') as string },
          },
        ],
      });
      await expect.poll(() => store.hostedWorkers.list('manager-1', 30), soon).toEqual([]);
      await expect.poll(() => executor.list(), soon).toEqual([]);
    });

    test('ends a worker that outlives its time, and its realm', async () => {
      await using under = await make();
      await using store = await openTestStore(server);
      const { entry, running } = marked(under.entry);
      await using fleet = await openFleet(store, under, { ...entry, lifetime_seconds: 1 });
      const claim = await claimNew(store, {}, { worker: null });
      const [executor] = fleet.rooms();
      if (!executor) throw new Error('there is no room');
      const launch = fleet.launch(executor, claim);
      await expect.poll(running, soon).toBe(3);
      launch.came();
      expect(await launch.done).toBe('came');
      await expect.poll(() => store.hostedWorkers.list('manager-1', 30), soon).toEqual([]);
      await expect.poll(() => executor.list(), soon).toEqual([]);
      expect(await running()).toBe(0);
    });

    test('finds what an earlier life had on its way, gives it back and ends it', async () => {
      await using under = await make();
      await using store = await openTestStore(server);
      const { entry, running } = marked(under.entry);
      const { build, lease } = await claimNew(store, {}, { worker: null });
      const order = newOrder();
      await store.hostedWorkers.allocate(lease, {
        ...order,
        executor: entry.name,
        manager: 'manager-1',
        tokenHash: hashSecret(order.token),
        setupSeconds: 60,
        lifetimeSeconds: 600,
      });
      await (await openExecutor(entry, under.surroundings)).start(order);
      await expect.poll(running, soon).toBe(3);
      await using _fleet = await openFleet(store, under, entry);
      await expect.poll(running, soon).toBe(0);
      expect(await store.builds.get(build.id)).toMatchObject({
        state: 'waiting',
        tries: [{ outcome: 'lost' }],
      });
      expect(await store.realms.find(order.realm)).toBeNull();
    });
  });
}
