import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { CONTRACT_VERSION, managerProcedures } from '../../../src/contract/uris.ts';
import { startRoster, type Roster } from '../../../src/manager/realms/roster.ts';
import type { SlotConnection, WorkerRealm } from '../../../src/manager/realms/slot-connection.ts';
import { workerRealmPolicy } from '../../../src/manager/realms/worker-realm.ts';
import { DatabaseAway } from '../../../src/store/index.ts';
import { createRouter } from '../../../src/wamp/index.ts';
import { ALL_ROLES, connect } from '../../wamp/support/peer.ts';

/** How the rows of connected workers are kept while the database is slow, away, or fails. */

const logger = { info: vi.fn(), warn: vi.fn() };
const put = vi.fn<(rows: readonly object[]) => Promise<void>>();
const keep = vi.fn<(names: readonly string[]) => Promise<void>>();
let roster: Roster;
let slot: SlotConnection;
let time = 0;

/** Enough for several rounds of writing. */
const ROUNDS_MS = 60_000;

beforeEach(async () => {
  vi.resetAllMocks();
  put.mockResolvedValue();
  keep.mockResolvedValue();
  time = 0;
  slot = await connectedSlot();
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  roster = startRoster({
    workers: { put, remove: () => Promise.resolve() },
    realms: { keep, remove: () => Promise.resolve(), forgotten: () => Promise.resolve([]) },
    wakeUps: { subscribe: () => () => undefined },
    manager: 'manager-1',
    heartbeatTimeoutSeconds: 10,
    logger,
    now: () => time,
  });
  roster.add(slot);
});
afterEach(async () => {
  await roster.stop();
  vi.useRealTimers();
});

async function connectedSlot(): Promise<SlotConnection> {
  const ready = Promise.withResolvers<SlotConnection>();
  const router = createRouter<WorkerRealm>();
  const policy = workerRealmPolicy({
    realms: { markJoined: () => Promise.resolve(true) },
    resumption: null,
    onResumed: () => undefined,
    onReady: ready.resolve,
    onGone: () => undefined,
    logger,
    now: () => 0,
  });
  router.addRealm('realm1', policy, { kind: 'enterprise', tokenHash: null, registeredAs: null, slot: null });
  const peer = connect(router);
  peer.say([1, 'realm1', ALL_ROLES]);
  peer.say([48, 1, {}, managerProcedures.ready, [], { token: '', version: CONTRACT_VERSION }]);
  return ready.promise;
}

it('asks a database that does not answer once, however long that takes', async () => {
  const answered = Promise.withResolvers<undefined>();
  put.mockReturnValueOnce(answered.promise);
  await vi.advanceTimersByTimeAsync(ROUNDS_MS);
  expect(put).toHaveBeenCalledOnce();
  answered.resolve(undefined);
  await expect.poll(() => keep).toHaveBeenCalledExactlyOnceWith(['realm1'], expect.any(Number));
});

it('says what fails, but for a database that is away, and goes on', async () => {
  keep.mockRejectedValueOnce(new DatabaseAway('The database does not answer.'));
  const bug = new Error('no such column');
  keep.mockRejectedValueOnce(bug);
  await vi.advanceTimersByTimeAsync(ROUNDS_MS);
  await expect.poll(() => keep.mock.calls.length).toBeGreaterThan(2);
  expect(logger.warn).toHaveBeenCalledExactlyOnceWith({ err: bug }, 'writing the workers failed');
});

/** Lets so many seconds pass, a second at a time. */
async function pass(seconds: number): Promise<void> {
  for (let second = 0; second < seconds; second++) {
    time += 1000;
    await vi.advanceTimersByTimeAsync(1000);
  }
}

it('ends the session of a worker that is silent, and not before', async () => {
  const abort = vi.spyOn(slot.session, 'abort');
  await pass(9);
  expect(abort).not.toHaveBeenCalled();
  await pass(1);
  expect(abort).toHaveBeenCalledExactlyOnceWith('wamp.error.timeout', 'nothing was heard for 10 s');
});

it('that was stopped itself, reads first what workers sent meanwhile', async () => {
  const abort = vi.spyOn(slot.session, 'abort');
  await pass(5);
  time += 3_600_000;
  await pass(3);
  expect(abort).not.toHaveBeenCalled();
  await pass(1);
  expect(abort).toHaveBeenCalledOnce();
});
