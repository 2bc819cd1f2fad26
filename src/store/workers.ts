import type { Database } from './database.ts';
import { FORGOTTEN_KEEP_SECONDS, UNNAMED_DRAINED_KEEP_SECONDS } from './limits.ts';
import type { TryOutcome } from './ports/builds.ts';
import type {
  DrainedWorker,
  ForgottenWorker,
  ListedWorker,
  WorkerRow,
  WorkerStore,
  WorkerTry,
} from './ports/workers.ts';
import { statement } from './statements.ts';
import { toJsonb } from './values.ts';

type ByActor = [id: string, actor: string, address: string | null];

const putWorkers = statement<[workers: string | null]>('put-workers');
const removeWorkers = statement<[realms: readonly string[]]>('remove-workers');
const sweepWorkers = statement<[manager: string | null, unseenForSeconds: number | null]>('sweep-workers');
const canTake = statement<
  [
    kind: string,
    extensions: readonly string[],
    labels: readonly string[],
    platform: string | null,
    namespace: string,
  ],
  { can: boolean }
>('can-take');
const sweepDrainedWorkers = statement<[seconds: number]>('sweep-drained-workers');
const listWorkers = statement<[id: string | null], ListedWorker>('list-workers');
const listDrainedWorkers = statement<[], DrainedWorker>('list-drained-workers');
const drainWorker = statement<ByActor>('drain-worker');
const undrainWorker = statement<ByActor>('undrain-worker');
const forgetWorker = statement<[...ByActor, keepSeconds: number, reason: string | null], ForgottenWorker>(
  'forget-worker',
  { repeatable: false },
);
const countTries = statement<[worker: string], { outcome: TryOutcome | null; count: number }>(
  'count-tries-of-worker',
);
const listTries = statement<[worker: string, limit: number], WorkerTry>('list-tries-of-worker');

const NO_OUTCOMES: Readonly<Record<TryOutcome, number>> = {
  complete: 0,
  error: 0,
  internalerror: 0,
  cancelled: 0,
  lost: 0,
};

/** The port's implementation. */
export function createWorkerStore({ run }: Database): WorkerStore {
  const drained = (): Promise<readonly DrainedWorker[]> => run(listDrainedWorkers, []);
  return {
    async put(workers: readonly WorkerRow[]) {
      if (workers.length > 0) await run(putWorkers, [toJsonb(workers)]);
    },
    async remove(realms) {
      if (realms.length > 0) await run(removeWorkers, [realms]);
    },
    async sweep(which) {
      await run(sweepWorkers, 'manager' in which ? [which.manager, null] : [null, which.unseenForSeconds]);
      if (!('manager' in which)) await run(sweepDrainedWorkers, [UNNAMED_DRAINED_KEEP_SECONDS]);
    },
    list: () => run(listWorkers, [null]),
    async history(id, limit) {
      const [slots, all, counts, tries] = await Promise.all([
        run(listWorkers, [id]),
        drained(),
        run(countTries, [id]),
        run(listTries, [id, limit]),
      ]);
      const mark = all.find((each) => each.id === id) ?? null;
      if (slots.length === 0 && counts.length === 0 && mark === null) return null;
      const outcomes = { ...NO_OUTCOMES };
      for (const { outcome, count } of counts) if (outcome !== null) outcomes[outcome] = count;
      return {
        slots,
        drained: mark,
        running: counts.find(({ outcome }) => outcome === null)?.count ?? 0,
        outcomes,
        tries,
      };
    },
    drained,
    drain: async (id, { name, address }) => (await run(drainWorker, [id, name, address])).length > 0,
    resume: async (id, { name, address }) => (await run(undrainWorker, [id, name, address])).length > 0,
    async forget(id, { name, address }, reason) {
      const [row] = await run(forgetWorker, [id, name, address, FORGOTTEN_KEEP_SECONDS, toJsonb(reason)]);
      return row ? { slots: row.slots, builds: row.builds } : null;
    },
    async canTake({ kind, requiredExtensions, workerLabels, platform, namespace }) {
      const [row] = await run(canTake, [kind, requiredExtensions, workerLabels, platform, namespace]);
      return row?.can === true;
    },
  };
}
