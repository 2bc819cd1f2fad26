import type { BuildFailure } from '../../contract/api.ts';
import type { BuildRow, JsonObject } from './builds.ts';

/** The right to act for a try. Whoever shows the token may renew, log and finish, until the try has ended. */
export interface Lease {
  readonly buildId: string;
  readonly try: number;
  readonly token: string;
}

export interface ClaimRequest {
  readonly manager: string;
  /** null for a hosted worker that is still to be started. */
  readonly worker: { readonly id: string; readonly slot: number; readonly realm: string } | null;
  /** Only builds of these kinds. */
  readonly kinds: readonly string[];
  /** What the worker has: only builds that need no more. */
  readonly extensions: readonly string[];
  /** Only builds of these namespaces; of all when absent or null. */
  readonly namespaces?: readonly string[] | null;
  readonly leaseSeconds: number;
}

export interface Claim {
  readonly build: BuildRow;
  /** As they were submitted: encrypted. */
  readonly secrets: Uint8Array | null;
  readonly lease: Lease;
}

export interface NewStep {
  /** Counts from 1. */
  readonly ordinal: number;
  readonly name: string;
  /** How many steps there are, when known. */
  readonly total: number | null;
}

export type TryResult =
  | { readonly state: 'complete'; readonly outputs: JsonObject }
  | { readonly state: 'error' | 'internalerror'; readonly error: BuildFailure };

export interface GiveBack {
  readonly outcome: 'lost' | 'internalerror';
  readonly error?: BuildFailure;
  /** Whether the try uses up one of the build's `maxTries`. */
  readonly counted: boolean;
  /** How long nobody may claim it. */
  readonly delaySeconds: number;
}

export interface ExpiryRules {
  /** Nothing expires until the database, and our way to it, have been up for so long: its workers could not renew meanwhile. */
  readonly graceSeconds: number;
  readonly counted: boolean;
  readonly delaySeconds: number;
  /** What the user reads when no counted try remains. */
  readonly error?: BuildFailure;
}

/**
 * The queue. A try is the holder's until it ends: by a result, by being given back, by its build's cancellation or by
 * `expireLeases`. What is called with a lease whose try has ended changes nothing and answers `false` (or null).
 * Every operation but `claim` may be repeated when its answer was lost.
 */
export interface LeaseStore {
  /**
   * Takes the next build, by priority and then by age, which becomes `running`, or `starting` when there is no worker yet. null:
   * there is none for this worker.
   */
  claim(request: ClaimRequest): Promise<Claim | null>;
  /** A `starting` build becomes `running`: its worker is there. Whatever manager it joined holds the lease from now on. */
  beginRunning(
    lease: Lease,
    worker: {
      readonly manager: string;
      readonly id: string;
      readonly slot: number;
      readonly realm: string;
      readonly leaseSeconds: number;
    },
  ): Promise<boolean>;
  /** One statement for all leases of a manager. Each token is in exactly one of the three. */
  renew(request: {
    readonly manager: string;
    readonly tokens: readonly string[];
    readonly leaseSeconds: number;
  }): Promise<{
    readonly renewed: readonly string[];
    readonly cancelled: readonly string[];
    readonly lost: readonly string[];
  }>;
  enterPhase(lease: Lease, phase: string): Promise<boolean>;
  /** A step begins: the one before is complete, and the build's progress says so. */
  beginStep(lease: Lease, step: NewStep): Promise<boolean>;
  /** The build ends. Repeating the call with the same outcome answers `true` again. */
  finish(lease: Lease, result: TryResult): Promise<boolean>;
  /**
   * The try ends, the build does not while counted tries remain. What the build became, or null when the lease was lost.
   * Repeating the call answers with what the build is then.
   */
  giveBack(lease: Lease, how: GiveBack): Promise<'waiting' | 'internalerror' | null>;
  /** Ends, as `lost`, the tries whose leases ran out, and gives their builds back. */
  expireLeases(rules: ExpiryRules): Promise<
    readonly {
      readonly buildId: string;
      readonly try: number;
      readonly state: 'waiting' | 'internalerror';
    }[]
  >;
}
