import type { BuildFailure } from '../../contract/api.ts';
import type { BuildState, FinalState } from '../../contract/phases.ts';

/** A value that PostgreSQL keeps as `jsonb`: what is written comes back, but for NUL and lone surrogates, which become U+FFFD. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** What is submitted. Validated by the caller; the store adds its own order and times. */
export interface NewBuild {
  /** A UUID of the caller's: submitting the same id again answers with the build that is there. */
  readonly id: string;
  readonly kind: string;
  /** What the kind needs to know, free of secrets. */
  readonly spec: JsonObject;
  /** Encrypted by the caller; the store never sees what it says. */
  readonly secrets: Uint8Array | null;
  readonly namespace: string;
  readonly repository: string;
  readonly registry: string;
  readonly tagNames: readonly string[];
  readonly submittedBy: string;
  /** The address of who submits, for the audit trail; null, or absent, where it came from no network. */
  readonly submittedFrom?: string | null;
  /** A worker without all of these is not given the build. */
  readonly requiredExtensions?: readonly string[];
  /** How many counted tries it has; 3 when absent. */
  readonly maxTries?: number;
  readonly notBefore?: Date;
  /** Higher goes first; 0 when absent. */
  readonly priority?: number;
  readonly parentId?: string;
  readonly platform?: string | null;
  /** While a build of its namespace with this key is unfinished, submitting another answers with that one. */
  readonly dedupeKey?: string;
  /** What a worker must say of itself: `KEY=VALUE`, `KEY=*`, `KEY!=VALUE` or `!KEY`. */
  readonly workerLabels?: readonly string[];
  /** Whether it waits while another build of its repository runs that has one of its tags. */
  readonly exclusive?: boolean;
  /** How many builds of a namespace may wait that has no limit of its own; any number when absent or null. */
  readonly defaultMaxWaiting?: number | null;
  /** A package that waits for its build: attached in the same transaction. */
  readonly packageId?: string;
}

export interface Progress {
  /** The last step that began, from 1. */
  readonly step: number;
  readonly steps: number | null;
  readonly instruction: string;
}

export type TryOutcome = FinalState | 'lost';

export interface TryRow {
  readonly buildId: string;
  /** Counts from 1. */
  readonly number: number;
  readonly manager: string;
  readonly worker: string | null;
  readonly slot: number | null;
  readonly realm: string | null;
  /** The last phase that it reached. */
  readonly phase: string | null;
  /** null while it runs. */
  readonly outcome: TryOutcome | null;
  readonly error: BuildFailure | null;
  /** Whether it uses up one of the build's `maxTries`. */
  readonly counted: boolean;
  readonly startedAt: Date;
  /** By when its worker must have ended it; null until it was given the build. */
  readonly deadline: Date | null;
  readonly endedAt: Date | null;
}

export interface BuildRow {
  readonly id: string;
  readonly kind: string;
  readonly spec: JsonObject;
  readonly outputs: JsonObject | null;
  readonly state: BuildState;
  readonly phase: string | null;
  readonly progress: Progress | null;
  readonly error: BuildFailure | null;
  readonly namespace: string;
  readonly repository: string;
  readonly registry: string;
  readonly tagNames: readonly string[];
  readonly submittedBy: string;
  readonly cancelledBy: string | null;
  readonly requiredExtensions: readonly string[];
  readonly maxTries: number;
  /** How many of them are used up. */
  readonly triesCounted: number;
  readonly notBefore: Date | null;
  readonly priority: number;
  readonly parentId: string | null;
  readonly platform: string | null;
  readonly dedupeKey: string | null;
  readonly workerLabels: readonly string[];
  readonly exclusive: boolean;
  readonly createdAt: Date;
  /** When its first try began. */
  readonly startedAt: Date | null;
  readonly endedAt: Date | null;
}

export interface BuildWithTries extends BuildRow {
  /** In order. */
  readonly tries: readonly TryRow[];
}

export type StepStatus = 'running' | TryOutcome;

export interface StepRow {
  readonly buildId: string;
  readonly try: number;
  readonly ordinal: number;
  readonly name: string;
  readonly status: StepStatus;
  readonly startedAt: Date;
  readonly endedAt: Date | null;
}

export interface BuildFilter {
  /** How its id begins. */
  readonly idPrefix?: string;
  readonly state?: BuildState;
  readonly repository?: string;
  readonly namespace?: string;
}

export interface BuildCounts {
  readonly byState: Readonly<Record<BuildState, number>>;
  /** How long the oldest waiting build has waited since it was submitted; null when none waits. */
  readonly oldestWaitingSeconds: number | null;
}

/** What was submitted and what became of it. */
export interface BuildStore {
  /**
   * Puts a build into the queue and wakes the managers. Fails with {@link PackageNotPending} when the package is not there,
   * or is another build's, and with {@link NamespaceFull} when as many of its namespace wait as may.
   */
  submit(build: NewBuild): Promise<BuildWithTries>;
  get(id: string): Promise<BuildWithTries | null>;
  /** Newest first. `cursor` is the last answer's `nextCursor`; one that is none answers with nothing. */
  list(
    filter: BuildFilter,
    page: { readonly limit: number; readonly cursor?: string },
  ): Promise<{ readonly builds: readonly BuildWithTries[]; readonly nextCursor: string | null }>;
  counts(): Promise<BuildCounts>;
  /** The steps of all its tries, in order. */
  steps(id: string): Promise<readonly StepRow[]>;
  /**
   * The build is `cancelled` when this returns: its try is over, its capabilities are revoked. A build that had ended is left as
   * it is. `cancelled` says whether this call did it; null: there is no such build. `from`: the address of who cancels, for the
   * audit trail.
   */
  cancel(
    id: string,
    by: string,
    from?: string | null,
  ): Promise<{ readonly state: BuildState; readonly cancelled: boolean } | null>;
}
