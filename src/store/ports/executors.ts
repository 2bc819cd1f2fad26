import type { WorkerOffering } from './leases.ts';

/** An executor, as all managers may know it. */
export interface ExecutorRow extends Required<WorkerOffering> {
  readonly name: string;
  /** Only for builds of these namespaces; for all when null. */
  readonly namespaces: readonly string[] | null;
}

/** Which executors there are, of whichever manager. */
export interface ExecutorStore {
  /** Writes all that a manager has: those it no longer has go. To be repeated, as a sign of life. */
  put(manager: string, executors: readonly ExecutorRow[]): Promise<void>;
  /** Removes those that no manager has written for so long. */
  sweep(unseenForSeconds: number): Promise<void>;
}
