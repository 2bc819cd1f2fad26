import type { Database } from './database.ts';
import type { WorkerRow, WorkerStore } from './ports/workers.ts';
import { statement } from './statements.ts';
import { toJsonb } from './values.ts';

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
const listWorkers = statement<[], WorkerRow>('list-workers');

/** The port's implementation. */
export function createWorkerStore({ run }: Database): WorkerStore {
  return {
    async put(workers) {
      if (workers.length > 0) await run(putWorkers, [toJsonb(workers)]);
    },
    async remove(realms) {
      if (realms.length > 0) await run(removeWorkers, [realms]);
    },
    async sweep(which) {
      await run(sweepWorkers, 'manager' in which ? [which.manager, null] : [null, which.unseenForSeconds]);
    },
    list: () => run(listWorkers, []),
    async canTake({ kind, requiredExtensions, workerLabels, platform, namespace }) {
      const [row] = await run(canTake, [kind, requiredExtensions, workerLabels, platform, namespace]);
      return row?.can === true;
    },
  };
}
