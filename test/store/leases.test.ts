import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import pg from 'pg';
import { startDatabaseServer, type LabDatabaseServer } from '../../lab/database.ts';
import type { BuildFailure } from '../../src/contract/api.ts';
import type { Store } from '../../src/store/index.ts';
import {
  claimed,
  claimNew,
  claimRequest,
  expireAtOnce,
  longLimits,
  newBuild,
  openTestStore,
} from './support/store.ts';

let server: LabDatabaseServer;
beforeAll(async () => {
  server = await startDatabaseServer();
});
afterAll(() => server.stop());

const failure: BuildFailure = {
  code: 'pushissue',
  message: 'The image could not be pushed.',
  help: 'Check the registry.',
  base_error: 'with a NUL \0 in it',
};

describe('claiming', () => {
  test('takes the highest priority first, then the oldest', async () => {
    await using store = await openTestStore(server);
    const order: string[] = [];
    for (const [name, priority] of [
      ['late', 0],
      ['later', 0],
      ['urgent', 5],
      ['idle', -1],
    ] as const) {
      await store.builds.submit(newBuild({ repository: `team/${name}`, priority }));
    }
    for (;;) {
      const claim = await store.leases.claim(claimRequest());
      if (!claim) break;
      order.push(claim.build.repository);
    }
    expect(order).toEqual(['team/urgent', 'team/late', 'team/later', 'team/idle']);
  });

  test('passes over what the worker cannot build, and what must still wait', async () => {
    await using store = await openTestStore(server);
    await store.builds.submit(newBuild({ kind: 'script' }));
    await store.builds.submit(newBuild({ requiredExtensions: ['registry-auth', 'cancel'] }));
    await store.builds.submit(newBuild({ notBefore: new Date('2100-01-01T00:00:00Z') }));
    expect(await store.leases.claim(claimRequest({ extensions: ['cancel'] }))).toBeNull();
    const able = claimRequest({ extensions: ['cancel', 'log-batch', 'registry-auth'] });
    expect(claimed(await store.leases.claim(able)).build.requiredExtensions).toHaveLength(2);
    expect(await store.leases.claim(able)).toBeNull();
    expect(claimed(await store.leases.claim(claimRequest({ kinds: ['script'] }))).build.kind).toBe('script');
  });

  test('hands over the secrets, which are forgotten when the build has ended', async () => {
    await using store = await openTestStore(server);
    const secrets = Buffer.from([0, 1, 2, 255]);
    const first = await claimNew(store, { secrets });
    expect(first.secrets).toEqual(secrets);
    await store.leases.giveBack(first.lease, { outcome: 'lost', counted: false, delaySeconds: 0 });
    const second = claimed(await store.leases.claim(claimRequest()));
    expect(second.secrets).toEqual(secrets);
    expect(second.lease).toMatchObject({ try: 2 });
    await store.leases.finish(second.lease, { state: 'complete', outputs: {} });
    const client = new pg.Client(store.url);
    await client.connect();
    expect((await client.query('select * from build_secrets')).rows).toEqual([]);
    await client.end();
  });

  test('without a worker the build is starting, and running once one is there, with whichever manager', async () => {
    await using store = await openTestStore(server);
    const { build, lease } = await claimNew(store, {}, { worker: null });
    expect(build.state).toBe('starting');
    const worker = { manager: 'manager-2', id: 'hosted-1', slot: 0, realm: 'r', leaseSeconds: 60 };
    expect(await store.leases.beginRunning(lease, worker)).toBe(true);
    expect(await store.builds.get(build.id)).toMatchObject({
      state: 'running',
      tries: [{ manager: 'manager-2', worker: 'hosted-1', slot: 0, realm: 'r' }],
    });
    const { token } = lease;
    const renewal = { tokens: [token], leaseSeconds: 60 };
    expect(await store.leases.renew({ ...renewal, manager: 'manager-1' })).toMatchObject({ lost: [token] });
    expect(await store.leases.fates({ manager: 'manager-1', tokens: [token] })).toEqual({
      cancelled: [],
      lost: [token],
    });
    expect(await store.leases.fates({ manager: 'manager-2', tokens: [token] })).toEqual({
      cancelled: [],
      lost: [],
    });
    expect(await store.leases.renew({ ...renewal, manager: 'manager-2' })).toMatchObject({
      renewed: [token],
    });
  });
});

describe('a try', () => {
  test('walks through phases and steps, which the build shows', async () => {
    await using store = await openTestStore(server);
    const { build, lease } = await claimNew(store);
    await store.leases.enterPhase(lease, 'building');
    await store.leases.beginStep(lease, { ordinal: 1, name: 'FROM scratch', total: 2 });
    await store.leases.beginStep(lease, { ordinal: 2, name: 'RUN echo \0', total: 2 });
    await store.leases.beginStep(lease, { ordinal: 2, name: 'RUN echo \0', total: 2 });
    expect(await store.builds.get(build.id)).toMatchObject({
      phase: 'building',
      progress: { step: 2, steps: 2, instruction: 'RUN echo \uFFFD' },
      tries: [{ phase: 'building' }],
    });
    expect(await store.builds.steps(build.id)).toMatchObject([
      { ordinal: 1, status: 'complete' },
      { ordinal: 2, status: 'running', endedAt: null },
    ]);
    await store.leases.finish(lease, { state: 'error', error: failure });
    expect(await store.builds.steps(build.id)).toMatchObject([{ status: 'complete' }, { status: 'error' }]);
  });

  test('walks through steps that are told together as through those that are told one by one', async () => {
    await using store = await openTestStore(server);
    const { build, lease } = await claimNew(store);
    const step = (ordinal: number, name = `RUN ${ordinal}`) => ({ ordinal, name, total: 5 });
    const seen = async (): Promise<unknown[]> =>
      (await store.builds.steps(build.id)).map(({ ordinal, name, status, endedAt }) => [
        ordinal,
        name,
        status,
        endedAt !== null,
      ]);
    await store.leases.beginStep(lease, step(1));
    const before = [step(2, 'RUN echo \0'), step(3), step(3, 'RUN anew'), step(4)];
    expect(await store.leases.beginStep(lease, step(4), before)).toBe(true);
    const past = [
      [1, 'RUN 1', 'complete', true],
      [2, 'RUN echo \uFFFD', 'complete', true],
    ];
    expect(await seen()).toEqual([
      ...past,
      [3, 'RUN anew', 'complete', true],
      [4, 'RUN 4', 'running', false],
    ]);
    expect(await store.builds.get(build.id)).toMatchObject({ progress: { step: 4, instruction: 'RUN 4' } });
    // Told again after a lost connection, from somewhere before.
    await store.leases.beginStep(lease, step(3));
    expect(await seen()).toEqual([...past, [3, 'RUN 3', 'running', false], [4, 'RUN 4', 'complete', true]]);
    await store.leases.beginStep(lease, step(5), [step(4)]);
    expect(await seen()).toEqual([
      ...past,
      [3, 'RUN 3', 'complete', true],
      [4, 'RUN 4', 'complete', true],
      [5, 'RUN 5', 'running', false],
    ]);
    await store.builds.cancel(build.id, 'bob');
    expect(await store.leases.beginStep(lease, step(7), [step(6)])).toBe(false);
    expect(await seen()).toHaveLength(5);
  });

  test('ends the build by its result, once, however often it is told', async () => {
    await using store = await openTestStore(server);
    const { build, lease } = await claimNew(store);
    const complete = { state: 'complete', outputs: { image_id: 'sha256:1' } } as const;
    expect(await store.leases.finish(lease, complete)).toBe(true);
    expect(await store.leases.finish(lease, complete)).toBe(true);
    expect(await store.leases.finish(lease, { state: 'error', error: failure })).toBe(false);
    expect(await store.builds.get(build.id)).toMatchObject({
      state: 'complete',
      outputs: { image_id: 'sha256:1' },
      error: null,
      tries: [{ outcome: 'complete' }],
    });
  });

  test("fails for the user's own reasons, which are kept", async () => {
    await using store = await openTestStore(server);
    const { build, lease } = await claimNew(store);
    await store.leases.finish(lease, { state: 'error', error: failure });
    const kept = { ...failure, base_error: 'with a NUL \uFFFD in it' };
    expect(await store.builds.get(build.id)).toMatchObject({
      state: 'error',
      error: kept,
      tries: [{ outcome: 'error', error: kept }],
    });
  });

  test('given back, its build waits while counted tries remain, and is an internal error then', async () => {
    await using store = await openTestStore(server);
    let { build, lease } = await claimNew(store, { maxTries: 2 });
    const giveBack = async (counted: boolean): Promise<string | null> =>
      store.leases.giveBack(lease, { outcome: 'internalerror', error: failure, counted, delaySeconds: 0 });
    const claimAgain = async (): Promise<void> => {
      ({ build, lease } = claimed(await store.leases.claim(claimRequest())));
    };
    expect(await giveBack(false)).toBe('waiting');
    await claimAgain();
    expect(await giveBack(true)).toBe('waiting');
    expect(await giveBack(true)).toBe('waiting');
    await claimAgain();
    expect(await giveBack(false)).toBe('waiting');
    await claimAgain();
    expect(await giveBack(true)).toBe('internalerror');
    expect(await store.builds.get(build.id)).toMatchObject({
      state: 'internalerror',
      error: { code: 'pushissue' },
      tries: [{ counted: false }, { counted: true }, { counted: false }, { counted: true }],
    });
  });

  test('given back before its worker had it, as when none comes, is no loss, however often', async () => {
    await using store = await openTestStore(server);
    await store.builds.submit(newBuild());
    const back = { outcome: 'lost', error: failure, counted: false, delaySeconds: 0 } as const;
    for (let times = 0; times < 12; times += 1) {
      const { lease } = claimed(await store.leases.claim(claimRequest()));
      expect(await store.leases.giveBack(lease, back)).toBe('waiting');
    }
    const states: (string | null)[] = [];
    do {
      const { lease } = claimed(await store.leases.claim(claimRequest()));
      await store.leases.handOver(lease, longLimits);
      states.push(await store.leases.giveBack(lease, back));
    } while (states.at(-1) === 'waiting');
    expect(states).toHaveLength(10);
  });

  test('given back with a delay, its build is not claimed before', async () => {
    await using store = await openTestStore(server);
    const { build, lease } = await claimNew(store);
    await store.leases.giveBack(lease, { outcome: 'lost', counted: true, delaySeconds: 3600.5 });
    expect(await store.leases.claim(claimRequest())).toBeNull();
    expect((await store.builds.get(build.id))?.notBefore?.getTime()).toBeGreaterThan(Date.now());
  });

  test('that has ended, or is another, can change nothing', async () => {
    await using store = await openTestStore(server);
    const { build, lease } = await claimNew(store);
    await store.leases.giveBack(lease, { outcome: 'lost', counted: false, delaySeconds: 0 });
    await claimNew(store, {});
    const before = await store.builds.get(build.id);
    for (const stale of [lease, { ...lease, try: 2 }, { ...lease, token: '' }, { ...lease, token: 'x' }]) {
      await expectPowerless(store, stale);
    }
    expect(await store.builds.get(build.id)).toEqual(before);
  });
});

async function expectPowerless(
  store: Store,
  lease: Parameters<typeof store.leases.finish>[0],
): Promise<void> {
  const { leases, logs, capabilities } = store;
  const worker = { manager: 'm', id: 'w', slot: 0, realm: 'r', leaseSeconds: 60 };
  expect(await leases.beginRunning(lease, worker)).toBe(false);
  expect(await leases.enterPhase(lease, 'pushing')).toBe(false);
  expect(await leases.beginStep(lease, { ordinal: 1, name: 'x', total: 1 })).toBe(false);
  expect(await leases.finish(lease, { state: 'complete', outputs: {} })).toBe(false);
  expect(
    await leases.giveBack(lease, { outcome: 'internalerror', counted: true, delaySeconds: 0 }),
  ).toBeNull();
  expect(await logs.append(lease, [])).toBeNull();
  const grant = { hash: Buffer.from('h'), scopes: [], expiresInSeconds: 60 };
  expect(await capabilities.grant(lease, grant)).toBe(false);
  const { token } = lease;
  expect(await leases.renew({ manager: 'manager-1', tokens: [token], leaseSeconds: 60 })).toEqual({
    renewed: [],
    cancelled: [],
    lost: [token],
  });
  expect(await leases.fates({ manager: 'manager-1', tokens: [token] })).toEqual({
    cancelled: [],
    lost: [token],
  });
}

describe('a lease', () => {
  test('that ran out is given back, and one that was renewed is not', async () => {
    await using store = await openTestStore(server);
    const renewed = await claimNew(store, {}, { leaseSeconds: 0 });
    const expired = await claimNew(store, {}, { leaseSeconds: 0 });
    await store.leases.renew({
      manager: 'manager-1',
      tokens: [renewed.lease.token],
      leaseSeconds: 300,
    });
    expect(await store.leases.expireLeases(expireAtOnce)).toEqual([
      { buildId: expired.build.id, try: 1, state: 'waiting' },
    ]);
    expect(await store.leases.expireLeases(expireAtOnce)).toEqual([]);
    expect(await store.builds.get(expired.build.id)).toMatchObject({
      state: 'waiting',
      tries: [{ outcome: 'lost', counted: false }],
    });
  });

  test('that ran out holds until somebody ends it: an answer in time is not lost', async () => {
    await using store = await openTestStore(server);
    const { lease } = await claimNew(store, {}, { leaseSeconds: 0 });
    expect(await store.leases.finish(lease, { state: 'complete', outputs: {} })).toBe(true);
    expect(await store.leases.expireLeases(expireAtOnce)).toEqual([]);
  });

  test('does not run out before the grace after this manager reached the database, which was up long before', async () => {
    let time = Date.now();
    await using store = await openTestStore(server, undefined, undefined, () => new Date(time));
    const { build } = await claimNew(store, {}, { leaseSeconds: 0 });
    const rules = { ...expireAtOnce, graceSeconds: 0.001 };
    expect(await store.leases.expireLeases(rules)).toEqual([]);
    time += 1;
    expect(await store.leases.expireLeases(rules)).toMatchObject([{ buildId: build.id }]);
  });

  test('does not run out before the grace after the database was started, which this manager has reached for long', async () => {
    let time = Date.now();
    await using store = await openTestStore(server, undefined, undefined, () => new Date(time));
    const { build } = await claimNew(store, {}, { leaseSeconds: 0 });
    time += 2 * 3_600_000;
    expect(await store.leases.expireLeases({ ...expireAtOnce, graceSeconds: 3600 })).toEqual([]);
    expect(await store.leases.expireLeases(expireAtOnce)).toMatchObject([{ buildId: build.id }]);
  });

  test('that ran out ends the build when its worker was away and no counted try remains, with the words for the user', async () => {
    await using store = await openTestStore(server);
    const { build, lease } = await claimNew(store, { maxTries: 1 });
    await store.leases.handOver(lease, { ...longLimits, resumeHash: Buffer.from('hash') });
    await store.leases.suspend(lease, { workerAway: true });
    const expired = await store.leases.expireLeases({ ...expireAtOnce, workerAway: failure });
    expect(expired).toMatchObject([{ state: 'internalerror' }]);
    expect(await store.builds.get(build.id)).toMatchObject({
      state: 'internalerror',
      error: { code: 'pushissue' },
      tries: [{ outcome: 'lost', counted: true, error: { code: 'pushissue' } }],
    });
  });

  test('that ran out often enough ends the build, which may be what ends its managers', async () => {
    await using store = await openTestStore(server);
    const { id } = await store.builds.submit(newBuild());
    let states: string[] = [];
    do {
      claimed(await store.leases.claim(claimRequest({ leaseSeconds: 0 })));
      states = [...states, ...(await store.leases.expireLeases(expireAtOnce)).map(({ state }) => state)];
    } while (states.at(-1) === 'waiting');
    expect(states).toEqual([...Array.from({ length: 9 }, () => 'waiting'), 'internalerror']);
    expect(await store.builds.get(id)).toMatchObject({
      state: 'internalerror',
      triesCounted: 0,
      error: { base_error: 'the manager is gone' },
    });
  });

  test('whose build was cancelled is told so when it is renewed, or looked at', async () => {
    await using store = await openTestStore(server);
    const kept = await claimNew(store);
    const cancelled = await claimNew(store);
    await store.builds.cancel(cancelled.build.id, 'bob');
    const asked = {
      manager: 'manager-1',
      tokens: [kept.lease.token, cancelled.lease.token, 'unknown'],
    };
    expect(await store.leases.fates(asked)).toEqual({
      cancelled: [cancelled.lease.token],
      lost: ['unknown'],
    });
    expect(await store.leases.renew({ ...asked, leaseSeconds: 60 })).toEqual({
      renewed: [kept.lease.token],
      cancelled: [cancelled.lease.token],
      lost: ['unknown'],
    });
  });

  test('that is looked at runs out as if it had not been', async () => {
    await using store = await openTestStore(server);
    const { build, lease } = await claimNew(store, {}, { leaseSeconds: 0 });
    expect(await store.leases.fates({ manager: 'manager-1', tokens: [lease.token] })).toEqual({
      cancelled: [],
      lost: [],
    });
    expect(await store.leases.expireLeases(expireAtOnce)).toMatchObject([{ buildId: build.id }]);
  });
});

test("a build's state changes by the arrows of the contract alone, whatever a statement says", async () => {
  await using store = await openTestStore(server);
  const { build, lease } = await claimNew(store);
  await store.leases.finish(lease, { state: 'complete', outputs: {} });
  const client = new pg.Client(store.url);
  await client.connect();
  for (const state of ['waiting', 'starting', 'running', 'error', 'internalerror', 'cancelled']) {
    await expect(
      client.query('update builds set state = $2 where id = $1', [build.id, state]),
    ).rejects.toThrow(`cannot go from complete to ${state}`);
  }
  await client.end();
});
