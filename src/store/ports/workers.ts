import type { Actor } from './audit.ts';
import type { BuildRow, JsonObject, TryOutcome } from './builds.ts';

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

/** A slot as it is listed: one of a drained worker gets no build, and is `draining` while it has one. */
export interface ListedWorker extends Omit<WorkerRow, 'state'> {
  readonly state: WorkerRow['state'] | 'draining' | 'drained';
}

/** A worker that gets no builds, connected or not. */
export interface DrainedWorker {
  readonly id: string;
  /** Who said so. */
  readonly drainedBy: string;
  readonly drainedAt: Date;
}

/** A try as its worker's history has it. */
export interface WorkerTry {
  readonly buildId: string;
  readonly number: number;
  readonly slot: number | null;
  readonly manager: string;
  readonly phase: string | null;
  /** null while it runs. */
  readonly outcome: TryOutcome | null;
  readonly startedAt: Date;
  readonly endedAt: Date | null;
  readonly repository: string;
  readonly tagNames: readonly string[];
}

/** All that is known of a worker. */
export interface WorkerHistory {
  /** Its slots that are connected. */
  readonly slots: readonly ListedWorker[];
  readonly drained: DrainedWorker | null;
  /** How many tries it has now. */
  readonly running: number;
  /** How its tries ended, of builds that are kept. */
  readonly outcomes: Readonly<Record<TryOutcome, number>>;
  /** Newest first. */
  readonly tries: readonly WorkerTry[];
}

/** What a worker had when it was forgotten. */
export interface ForgottenWorker {
  /** How many were connected. */
  readonly slots: number;
  /** The ids of the builds that went back to the queue. */
  readonly builds: readonly string[];
}

/** Which workers are connected, to whichever manager, and which of all workers get no builds. */
export interface WorkerStore {
  /** Writes many, by their realms, in one statement: new ones, changed ones, and those that were only seen again. */
  put(workers: readonly WorkerRow[]): Promise<void>;
  remove(realms: readonly string[]): Promise<void>;
  /** Removes those of a manager that starts again, and those that no manager has seen for so long. */
  sweep(which: { readonly manager: string } | { readonly unseenForSeconds: number }): Promise<void>;
  /** By id and slot. */
  /**
   * Whether any connected enterprise worker, whatever it does now, or any executor of any manager could take a build that asks for
   * this. Not whether it will soon.
   */
  canTake(demand: Demand): Promise<boolean>;
  list(): Promise<readonly ListedWorker[]>;
  /** What is known of a worker, with so many of its tries; null when nothing is. */
  history(id: string, tries: number): Promise<WorkerHistory | null>;
  /** By id. */
  drained(): Promise<readonly DrainedWorker[]>;
  /**
   * From its commit on no claim gives the worker a build, at any manager; what it has goes on. `false`: nobody knows such a worker.
   * Again changes nothing.
   */
  drain(id: string, by: Actor): Promise<boolean>;
  /** The worker may have builds again. `false`: nobody knows such a worker. */
  resume(id: string, by: Actor): Promise<boolean>;
  /**
   * Removes the worker's slots, closes their realms for good, and lifts its draining; the managers that hold its sessions end them.
   * What it builds goes back to the queue at once, for this reason, and is not counted. null: nobody knows such a worker.
   */
  forget(id: string, by: Actor, reason: JsonObject): Promise<ForgottenWorker | null>;
}
