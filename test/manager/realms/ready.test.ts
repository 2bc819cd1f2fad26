import { expect, it, vi } from 'vitest';
import { CONTRACT_VERSION, managerProcedures } from '../../../src/contract/uris.ts';
import type { WorkerRealm } from '../../../src/manager/realms/slot-connection.ts';
import { workerRealmPolicy, type WorkerRealmDependencies } from '../../../src/manager/realms/worker-realm.ts';
import { DatabaseAway } from '../../../src/store/index.ts';
import { createRouter } from '../../../src/wamp/index.ts';
import { ALL_ROLES, connect, type Peer } from '../../wamp/support/peer.ts';

/** What a worker that says `ready` may meet while the store is asked (worker contract 0.3, "Connecting"). */

const READY = [48, 1, {}, managerProcedures.ready, [], { token: '', version: CONTRACT_VERSION }] as const;

function realmWith(markJoined: WorkerRealmDependencies['realms']['markJoined']): {
  peer: Peer;
  onReady: ReturnType<typeof vi.fn>;
  onGone: ReturnType<typeof vi.fn>;
} {
  const onReady = vi.fn();
  const onGone = vi.fn();
  const logger = { info: vi.fn(), warn: vi.fn() };
  const router = createRouter<WorkerRealm>();
  const policy = workerRealmPolicy({
    realms: { markJoined },
    resumption: null,
    onResumed: () => undefined,
    onReady,
    onGone,
    logger,
    now: () => 0,
  });
  router.addRealm('realm1', policy, { kind: 'enterprise', tokenHash: null, registeredAs: null, slot: null });
  const peer = connect(router);
  peer.ask([1, 'realm1', ALL_ROLES]);
  return { peer, onReady, onGone };
}

it('a worker whose connection goes meanwhile is never taken for ready', async () => {
  const joined = Promise.withResolvers<boolean>();
  const { peer, onReady, onGone } = realmWith(() => joined.promise);
  peer.say(READY);
  peer.vanish();
  expect(onGone).toHaveBeenCalledOnce();
  joined.resolve(true);
  await new Promise(setImmediate);
  expect(onReady).not.toHaveBeenCalled();
});

it('a worker that the database kept waiting in vain may say it again', async () => {
  const markJoined = vi.fn(() => Promise.resolve(true));
  markJoined.mockRejectedValueOnce(new DatabaseAway('The database does not answer.'));
  const { peer, onReady } = realmWith(markJoined);
  peer.say(READY);
  const failed = [8, 48, 1, {}, 'wamp.error.runtime_error', ['internal error']];
  await expect.poll(() => peer.heard).toEqual([failed]);
  expect(onReady).not.toHaveBeenCalled();
  peer.say(READY.with(1, 2));
  await expect.poll(() => peer.heard).toEqual([failed, [50, 2, {}, [true]]]);
  expect(onReady).toHaveBeenCalledOnce();
});
