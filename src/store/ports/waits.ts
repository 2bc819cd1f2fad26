/** How long builds waited that started lately, from when they might have. In seconds. */
export interface UsualWait {
  /** Of how many starts this is said. */
  readonly starts: number;
  readonly median: number;
  readonly p90: number;
}

/** What keeps a waiting build from starting, as it is at this moment. */
export interface Wait {
  /** How many of its namespace go before it; counted up to `WAITS_COUNTED_MAX`. */
  readonly ahead: number;
  /** How many builds of its namespace run, and how many may; null for any number. */
  readonly running: number;
  readonly maxRunning: number | null;
  /** The build of the same tag that runs, where it may not run beside it. */
  readonly blockedBy: string | null;
  /** Slots of connected workers. */
  readonly slots: number;
  /** Those that could take it and are not drained, and those of these that are ready. */
  readonly fitting: number;
  readonly ready: number;
  /** Those that could take it, were they not drained. */
  readonly drained: number;
  /** Whether its namespace has stored credentials, which only workers with `registry-auth` are given. */
  readonly hasCredentials: boolean;
  /** Whether there are executors, and whether one of them could start a worker for it. */
  readonly hasExecutors: boolean;
  readonly hasExecutor: boolean;
  /** Of its namespace, and of all; null where nothing started lately. */
  readonly usual: UsualWait | null;
  readonly usualOfAll: UsualWait | null;
}

export interface WaitStore {
  /**
   * Why builds wait, by their ids; those that do not wait are left out. `defaultMaxRunning`: how many builds of a namespace may run that
   * has no limit of its own; null for any number.
   */
  explain(
    buildIds: readonly string[],
    rules: { readonly defaultMaxRunning: number | null },
  ): Promise<ReadonlyMap<string, Wait>>;
}
