import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { startDatabaseServer, type LabDatabaseServer } from '../../lab/database.ts';
import type { Lease, Store } from '../../src/store/index.ts';
import { claimRequest, expireAtOnce, longLimits, newBuild, openTestStore } from './support/store.ts';

/** While PostgreSQL is away nobody could renew a lease or say a word: when it is back, nothing ends before a grace is over. */

const GRACE_SECONDS = 3600;

/** A try as it was when the database died: its lease ran out, or its time did, or neither. */
interface Situation {
  readonly isHandedOver: boolean;
  readonly isLapsed: boolean;
  readonly isLate: boolean;
  /** Whether somebody holds the lease anew when the database is back. */
  readonly isRenewed: boolean;
}

const BOTH = [false, true];
const situations: readonly Situation[] = BOTH.flatMap((isHandedOver) =>
  BOTH.flatMap((isLapsed) =>
    BOTH.flatMap((isLate) =>
      BOTH.map((isRenewed): Situation => ({ isHandedOver, isLapsed, isLate, isRenewed })),
    ),
  ),
);

interface Running {
  readonly situation: Situation;
  readonly buildId: string;
  readonly lease: Lease;
}

async function run(store: Store, situation: Situation): Promise<Running> {
  const kind = randomUUID();
  const { id: buildId } = await store.builds.submit(newBuild({ kind }));
  const claim = await store.leases.claim(claimRequest({ kinds: [kind] }));
  if (claim === null) throw new Error('there is nothing to claim');
  const { lease } = claim;
  if (situation.isHandedOver) {
    const timeoutSeconds = situation.isLate ? 0 : 3600;
    const resumeHash = Buffer.from(buildId);
    expect(await store.leases.handOver(lease, { ...longLimits, timeoutSeconds, resumeHash })).toBe(
      timeoutSeconds,
    );
  }
  if (situation.isLapsed) await renew(store, lease, -1);
  return { situation, buildId, lease };
}

async function renew(store: Store, { token }: Lease, leaseSeconds: number): Promise<void> {
  const renewal = { manager: 'manager-1', tokens: [token], leaseSeconds };
  expect((await store.leases.renew(renewal)).renewed).toHaveLength(1);
}

/** Kills PostgreSQL's first process, and waits until it was started again and the store reaches it. */
async function restart(server: LabDatabaseServer, store: Store, buildId: string): Promise<void> {
  const { pid } = server;
  process.kill(pid, 'SIGKILL');
  await expect.poll(() => server.pid, { timeout: 120_000 }).not.toBe(pid);
  await expect
    .poll(async () => (await store.builds.get(buildId).catch(() => null))?.id, { timeout: 120_000 })
    .toBe(buildId);
}

test('when the database is back, nothing expires and nothing is late within a grace, and after it only what nobody took up', async () => {
  await using server = await startDatabaseServer();
  let aheadMs = 0;
  const now = (): Date => new Date(Date.now() + aheadMs);
  await using store = await openTestStore(server, undefined, undefined, now);
  const running: Running[] = [];
  for (const situation of situations) running.push(await run(store, situation));
  await restart(server, store, running[0]?.buildId ?? '');

  const expectNothingEnds = async (): Promise<void> => {
    expect(await store.leases.expireLeases({ ...expireAtOnce, graceSeconds: GRACE_SECONDS })).toEqual([]);
    expect(await store.leases.overdue(GRACE_SECONDS)).toEqual([]);
  };
  await expectNothingEnds();
  // To a manager that missed it the database was never away: PostgreSQL itself knows since when it is there.
  aheadMs = 2 * GRACE_SECONDS * 1000;
  await expectNothingEnds();
  for (const { situation, lease } of running) if (situation.isRenewed) await renew(store, lease, 300);

  const late = running.filter(({ situation }) => situation.isHandedOver && situation.isLate);
  await expect
    .poll(async () => (await store.leases.overdue(0)).map((each) => each.lease.token).sort())
    .toEqual(late.map(({ lease }) => lease.token).sort());
  const lapsed = running.filter(({ situation }) => situation.isLapsed && !situation.isRenewed);
  const expired: string[] = [];
  await expect
    .poll(async () => {
      expired.push(...(await store.leases.expireLeases(expireAtOnce)).map(({ buildId }) => buildId));
      return expired.toSorted();
    })
    .toEqual(lapsed.map(({ buildId }) => buildId).sort());
});
