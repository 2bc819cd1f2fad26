import type { Database } from './database.ts';
import { fence, type Fence } from './fence.ts';
import { claimOf, type ClaimedBuild } from './leases.ts';
import type { HostedWorkerRow, HostedWorkerStore } from './ports/hosted-workers.ts';
import { statement } from './statements.ts';

interface ListedWorker extends Omit<HostedWorkerRow, 'lease'> {
  readonly buildId: string;
  readonly try: number;
  readonly leaseToken: string;
}

const allocate =
  statement<
    [
      ...Fence,
      id: string,
      executor: string,
      manager: string,
      realm: string,
      tokenHash: Uint8Array,
      setupSeconds: number,
      lifetimeSeconds: number,
    ]
  >('allocate-hosted-worker');
const begin = statement<
  [realm: string, manager: string, worker: string, slot: number, leaseSeconds: number],
  ClaimedBuild
>('begin-hosted-worker');
const list = statement<[manager: string, leaveSeconds: number], ListedWorker>('list-hosted-workers');
const withdraw = statement<[id: string]>('withdraw-hosted-worker', { repeatable: false });
const remove = statement<[id: string]>('remove-hosted-worker');

/** The port's implementation. */
export function createHostedWorkerStore({ run }: Database): HostedWorkerStore {
  return {
    async allocate(lease, { id, executor, manager, realm, tokenHash, setupSeconds, lifetimeSeconds }) {
      const rows = await run(allocate, [
        ...fence(lease),
        id,
        executor,
        manager,
        realm,
        tokenHash,
        setupSeconds,
        lifetimeSeconds,
      ]);
      return rows.length > 0;
    },
    async begin(realm, { manager, id, slot, leaseSeconds }) {
      const [row] = await run(begin, [realm, manager, id, slot, leaseSeconds]);
      return row ? claimOf(row) : null;
    },
    async list(manager, leaveSeconds) {
      const rows = await run(list, [manager, leaveSeconds]);
      return rows.map(({ buildId, try: number, leaseToken, ...row }) => ({
        ...row,
        lease: { buildId, try: number, token: leaseToken },
      }));
    },
    async withdraw(id) {
      return (await run(withdraw, [id])).length > 0;
    },
    async remove(id) {
      await run(remove, [id]);
    },
  };
}
