import { afterAll, beforeAll, expect, it } from 'vitest';
import { startDatabaseServer, type LabDatabaseServer } from '../../../lab/database.ts';
import { meterStore } from '../../../src/manager/metrics/meter-store.ts';
import { createMetrics } from '../../../src/manager/metrics/metrics.ts';
import { probeStore } from '../../../src/manager/metrics/probe-store.ts';
import type { Store } from '../../../src/store/index.ts';
import {
  claimed,
  claimNew,
  claimRequest,
  expireAtOnce,
  newBuild,
  openTestStore,
  record,
} from '../../store/support/store.ts';
import { readExposition, valueOf } from './exposition.ts';

let server: LabDatabaseServer;
beforeAll(async () => {
  server = await startDatabaseServer();
});
afterAll(() => server.stop());

const failure = { code: 'builderror', message: 'A step failed.', help: 'Read the log.', base_error: '' };

interface Metered extends AsyncDisposable {
  readonly store: Store;
  /** Moves the clock of the metrics, in seconds. */
  readonly pass: (seconds: number) => void;
  /** What the database says of the farm is missing from an answer for which it was too slow: that is polled for. */
  readonly read: (name: string, labels?: Readonly<Record<string, string>>) => Promise<number>;
}

async function openMetered(): Promise<Metered> {
  const opened = await openTestStore(server);
  const metrics = createMetrics();
  let time = Date.now();
  const now = (): number => time;
  const store = meterStore(opened, metrics, now);
  probeStore(metrics, store, now);
  return {
    store,
    pass: (seconds) => (time += seconds * 1000),
    read: async (name, labels) =>
      valueOf(readExposition(await metrics.expose()), `quay_build_${name}`, labels),
    [Symbol.asyncDispose]: () => opened.close(),
  };
}

it('measures the start, the phases and the end of a build', async () => {
  await using metered = await openMetered();
  const { store, pass, read } = metered;
  await store.builds.submit(newBuild());
  pass(100);
  const { lease } = claimed(await store.leases.claim(claimRequest()));
  pass(2);
  await store.leases.enterPhase(lease, 'pulling');
  pass(3);
  await store.leases.enterPhase(lease, 'building');
  await store.logs.append(lease, [record(1, 'four'), record(2, 'more')]);
  pass(30);
  expect(await store.leases.finish(lease, { state: 'complete', outputs: {} })).toBe(true);
  expect(await read('claim_to_start_seconds_sum', { kind: 'enterprise' })).toBe(2);
  expect(await read('submit_to_start_seconds_bucket', { le: '300' })).toBe(1);
  expect(await read('phase_duration_seconds_sum', { phase: 'pulling', result: 'passed' })).toBe(3);
  expect(await read('phase_duration_seconds_sum', { phase: 'building', result: 'complete' })).toBe(30);
  expect(await read('try_duration_seconds_sum', { outcome: 'complete' })).toBe(35);
  expect(await read('builds_ended_total', { state: 'complete' })).toBe(1);
  expect(await read('log_records_total')).toBe(2);
  expect(await read('log_bytes_total')).toBe(8);
});

it('counts tries that fail or are lost, and builds that end of it', async () => {
  await using metered = await openMetered();
  const { store, read } = metered;
  const first = await claimNew(store, { maxTries: 2 });
  const back = { counted: true, delaySeconds: 0 } as const;
  await store.leases.giveBack(first.lease, { ...back, outcome: 'lost' });
  expect(await read('builds_ended_total', { state: 'internalerror' })).toBe(0);
  const second = claimed(await store.leases.claim(claimRequest()));
  await store.leases.giveBack(second.lease, { ...back, outcome: 'internalerror', error: failure });
  expect(await read('builds_ended_total', { state: 'internalerror' })).toBe(1);
  expect(await read('try_duration_seconds_count', { outcome: 'lost' })).toBe(1);
  expect(await read('try_duration_seconds_count', { outcome: 'internalerror' })).toBe(1);
  expect(await read('errors_total', { code: 'builderror' })).toBe(1);
  const third = await claimNew(store);
  await store.leases.finish(third.lease, { state: 'error', error: failure });
  expect(await read('builds_ended_total', { state: 'error' })).toBe(1);
  expect(await read('errors_total', { code: 'builderror' })).toBe(2);
});

it('says how old the leases are that this manager holds, and forgets those it has lost', async () => {
  await using metered = await openMetered();
  const { store, pass, read } = metered;
  expect(await read('lease_renewal_age_seconds')).toBe(0);
  const { build, lease } = await claimNew(store);
  pass(20);
  expect(await read('lease_renewal_age_seconds')).toBe(20);
  const renewal = { manager: 'manager-1', tokens: [lease.token], leaseSeconds: 300 };
  await store.leases.renew(renewal);
  expect(await read('lease_renewal_age_seconds')).toBe(0);
  await expect.poll(() => read('leases', { state: 'valid' })).toBe(1);
  await store.builds.cancel(build.id, 'bob');
  await store.leases.renew(renewal);
  pass(20);
  expect(await read('lease_renewal_age_seconds')).toBe(0);
  expect(await read('builds_ended_total', { state: 'cancelled' })).toBe(1);
  expect(await read('try_duration_seconds_count', { outcome: 'cancelled' })).toBe(1);
  const looked = await claimNew(store);
  await store.builds.cancel(looked.build.id, 'bob');
  await store.leases.fates({ manager: 'manager-1', tokens: [looked.lease.token] });
  expect(await read('try_duration_seconds_count', { outcome: 'cancelled' })).toBe(2);
});

it('says how overdue the leases of the farm are, and how many it ended', async () => {
  await using metered = await openMetered();
  const { store, read } = metered;
  await claimNew(store, {}, { leaseSeconds: -100 });
  await expect.poll(() => read('leases', { state: 'overdue' })).toBe(1);
  await expect.poll(() => read('lease_overdue_seconds')).toBeGreaterThanOrEqual(100);
  expect(await store.leases.expireLeases(expireAtOnce)).toHaveLength(1);
  expect(await read('leases_expired_total')).toBe(1);
  await expect.poll(() => read('lease_overdue_seconds')).toBe(0);
});

it('names the namespaces with the longest queues, and counts the others together', async () => {
  await using metered = await openMetered();
  const { store, read } = metered;
  for (let team = 0; team < 22; team += 1) {
    await store.builds.submit(newBuild({ namespace: `team-${team}`, repository: `team-${team}/app` }));
  }
  await store.builds.submit(newBuild({ namespace: 'busy', repository: 'busy/app' }));
  await store.builds.submit(newBuild({ namespace: 'busy', repository: 'busy/app' }));
  await store.builds.submit(
    newBuild({ namespace: 'busy', repository: 'busy/later', notBefore: new Date('2999-01-01') }),
  );
  await expect.poll(() => read('queue_builds', { namespace: 'busy' })).toBe(3);
  await expect.poll(() => read('queue_builds', { namespace: '(other)' })).toBe(3);
  await expect.poll(() => read('queue_oldest_seconds', { namespace: 'busy' })).toBeGreaterThan(0);
  await expect.poll(() => read('builds', { state: 'waiting' })).toBe(25);
  await expect.poll(() => read('database_table_bytes', { table: 'builds' })).toBeGreaterThan(0);
});

it('says of a retention that fails what failed', async () => {
  await using metered = await openMetered();
  const { store, read } = metered;
  await store.audit.record({
    actor: { name: 'ci', address: null },
    action: 'worker.drain',
    object: 'worker-1',
  });
  expect(await store.retention.deleteAudit({ keepSeconds: -60, keepEntries: 1000, limit: 10 })).toBe(1);
  expect(await read('retention_total', { work: 'delete-audit' })).toBe(1);
  const { lease } = await claimNew(store);
  await store.logs.append(lease, [record(1)]);
  await store.leases.finish(lease, { state: 'complete', outputs: {} });
  // There is no blob store.
  await expect(store.retention.archiveLogs({ endedSeconds: 0, limit: 10 })).rejects.toThrow('no blobs');
  expect(await read('retention_failures_total', { work: 'pack-logs' })).toBe(1);
});
