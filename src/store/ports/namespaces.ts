import type { Actor } from './audit.ts';

/** How a namespace shares the farm; null: as the manager's settings say. */
export interface NamespaceLimits {
  /** Builds that it gets beside others with weight 1, while all have builds that wait; null is 1. */
  readonly weight: number | null;
  /** How many of its builds may be `starting` or `running`. */
  readonly maxRunning: number | null;
  /** How many of its builds may wait. */
  readonly maxWaiting: number | null;
}

export interface NamespaceRow extends NamespaceLimits {
  readonly name: string;
  readonly running: number;
  readonly waiting: number;
}

export interface NamespaceStore {
  /** Also one that has neither settings nor unfinished builds. */
  get(name: string): Promise<NamespaceRow>;
  /** Those that have settings or unfinished builds, by name. `cursor` is the last answer's `nextCursor`. */
  list(page: { readonly limit: number; readonly cursor?: string }): Promise<{
    readonly namespaces: readonly NamespaceRow[];
    readonly nextCursor: string | null;
  }>;
  /** From the next claim, and the next build that is submitted, on. What runs or waits already is left alone. */
  set(name: string, limits: NamespaceLimits, by: Actor): Promise<void>;
  /** It has no settings of its own any more. */
  reset(name: string, by: Actor): Promise<void>;
  /** Forgets those that are as if they had never been. */
  sweep(): Promise<void>;
}
