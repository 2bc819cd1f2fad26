import type { BuildRow } from './builds.ts';

/** A slot: one connection in one realm. The names are those of the API's worker. */
export interface WorkerRow {
  readonly realm: string;
  readonly id: string;
  readonly slot: number;
  readonly slots: number;
  readonly kind: 'enterprise' | 'hosted';
  readonly state: 'joining' | 'ready' | 'busy';
  readonly labels: Readonly<Record<string, string>>;
  readonly extensions: readonly string[];
  readonly kinds: readonly string[];
  /** Where its connection comes from. */
  readonly address: string;
  readonly manager: string;
  readonly connectedAt: Date;
  readonly lastSeenAt: Date;
  readonly buildId: string | null;
  /** The name of the ticket by which it registered; null for none. */
  readonly registeredAs: string | null;
}

/** What a build asks of who takes it. */
export type Demand = Pick<
  BuildRow,
  'kind' | 'requiredExtensions' | 'workerLabels' | 'platform' | 'namespace'
>;

/** Which workers are connected, to whichever manager. */
export interface WorkerStore {
  /** Writes many, by their realms, in one statement: new ones, changed ones, and those that were only seen again. */
  put(workers: readonly WorkerRow[]): Promise<void>;
  remove(realms: readonly string[]): Promise<void>;
  /** Removes those of a manager that starts again, and those that no manager has seen for so long. */
  sweep(which: { readonly manager: string } | { readonly unseenForSeconds: number }): Promise<void>;
  /** By id and slot. */
  list(): Promise<readonly WorkerRow[]>;
  /**
   * Whether any connected enterprise worker, whatever it does now, or any executor of any manager could take a build that asks for
   * this. Not whether it will soon.
   */
  canTake(demand: Demand): Promise<boolean>;
}
