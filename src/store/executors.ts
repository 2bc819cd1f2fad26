import type { Database } from './database.ts';
import type { ExecutorStore } from './ports/executors.ts';
import { statement } from './statements.ts';
import { toJsonb } from './values.ts';

const putExecutors = statement<[manager: string, executors: string | null]>('put-executors');
const sweepExecutors = statement<[unseenForSeconds: number]>('sweep-executors');

/** The port's implementation. */
export function createExecutorStore({ run }: Database): ExecutorStore {
  return {
    async put(manager, executors) {
      await run(putExecutors, [manager, toJsonb(executors)]);
    },
    async sweep(unseenForSeconds) {
      await run(sweepExecutors, [unseenForSeconds]);
    },
  };
}
