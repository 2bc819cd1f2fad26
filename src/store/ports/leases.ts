import type { BuildFailure } from '../../contract/api.ts';
import type { BuildRow, JsonObject, TryOutcome } from './builds.ts';
import type { SealedCredential } from './credentials.ts';

/** The right to act for a try. Whoever shows the token may renew, log and finish, until the try has ended. */
export interface Lease {
  readonly buildId: string;
  readonly try: number;
  readonly token: string;
}

/** What a worker says of itself. */
export interface WorkerOffering {
  /** Only builds of these kinds. */
  readonly kinds: readonly string[];
  /** What the worker has: only builds that need no more. */
  readonly extensions: readonly string[];
  /** By name; none when absent. docs/running-a-worker.md has what they mean. */
  readonly labels?: Readonly<Record<string, string>>;
}

/** A slot that is ready, by its worker. */
export interface ReadySlot {
  readonly id: string;
  readonly slot: number;
  readonly realm: string;
}

export interface ClaimRequest extends WorkerOffering {
  readonly manager: string;
  /** Who asks. null for a hosted worker that is still to be started. */
  readonly worker: ReadySlot | null;
  /**
   * Other slots that are ready: one that is warmer for the build gets it in the place of who asks, and any that fits it in the place of
   * a worker that would have to be started. Alike unless they say what they offer.
   */
  readonly others?: readonly (ReadySlot & Partial<WorkerOffering>)[];
  /** Only builds of these namespaces; of all when absent or null. */
  readonly namespaces?: readonly string[] | null;
  readonly leaseSeconds: number;
  /** How many builds of a namespace may run that has no limit of its own; any number when absent or null. */
  readonly defaultMaxRunning?: number | null;
}

export interface Claim {
  readonly build: BuildRow;
  /** As they were submitted: encrypted. */
  readonly secrets: Uint8Array | null;
  /** Of its namespace, at the moment of the claim. Where there are any, only a worker with the extension `registry-auth` is given the build. */
  readonly credentials: readonly SealedCredential[];
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

/** What bounds a try from now on. In seconds. */
export interface HandOver {
  /** Of the secret with which the worker may come back; null where it may not. */
  readonly resumeHash: Uint8Array | null;
  /** How long it may take, and how long its worker may say nothing of it. */
  readonly timeoutSeconds: number;
  readonly silenceSeconds: number;
  /** How much longer a worker has that keeps both itself; 0 for one that does not. */
  readonly marginSeconds: number;
  /** How much of the life of a worker that was started for this try is kept for its end, but not more than a quarter of what is left. */
  readonly lifeReserveSeconds: number;
}

/** A try whose worker should have ended it. */
export interface OverdueTry {
  readonly lease: Lease;
  /** The last phase that it reached. */
  readonly phase: string | null;
  /** How many tries the build had used up before. */
  readonly triesCounted: number;
  readonly timeoutSeconds: number;
  readonly silenceSeconds: number;
  /** Whether it took longer than it may; else nothing was heard of it for too long. */
  readonly isLate: boolean;
  /** Whether its worker was to keep the limit itself, and did not. */
  readonly workerKeepsLimits: boolean;
}

/** What a worker shows that wants to go on with its try. */
export interface ResumeProof {
  readonly buildId: string;
  readonly try: number;
  /** Of the secret whose hash `handOver` was given. */
  readonly hash: Uint8Array;
}

/** A try as its next holder needs to know it. */
export interface ResumedTry extends Claim {
  /** The last record of its log that is stored, and the last message of its worker's that is. */
  readonly lastLogSeq: number;
  readonly lastMessageSeq: number;
  /** How much of its log is stored, in bytes. */
  readonly logBytes: number;
  /** The last phase that it reached. */
  readonly phase: string | null;
}

export interface ExpiryRules {
  /** Nothing expires until the database, and our way to it, have been up for so long: its workers could not renew meanwhile. */
  readonly graceSeconds: number;
  /** How much longer the worker of a resumable try has to come back. */
  readonly resumeSeconds: number;
  /** Why the try ended: its worker did not come back to a manager that lived, which uses up a try. */
  readonly workerAway: BuildFailure;
  /** Or its manager was gone, which uses up none. */
  readonly managerGone: BuildFailure;
}

/**
 * The queue. A try is the holder's until it ends: by a result, by being given back, by its build's cancellation or by
 * `expireLeases`. What is called with a lease whose try has ended changes nothing and answers `false` (or null).
 * Every operation but `claim` may be repeated when its answer was lost.
 */
export interface LeaseStore {
  /**
   * Takes the next build that fits who asks: of the namespace that is furthest behind its share, and in it by priority and then by
   * age. It becomes `running`, or `starting` when there is no worker yet. `realm`: of the slot that gets it. null: there is none.
   */
  claim(request: ClaimRequest): Promise<(Claim & { readonly realm: string | null }) | null>;
  /** Whether a build could be claimed now by somebody who fits it. */
  anyClaimable(): Promise<boolean>;
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
  /** Those of these leases that are no longer this manager's, as `renew` has them, for a look: nothing is written, and nothing waited for. */
  fates(request: { readonly manager: string; readonly tokens: readonly string[] }): Promise<{
    readonly cancelled: readonly string[];
    readonly lost: readonly string[];
  }>;
  /**
   * The try's worker is about to be given the build: its time runs from now, whatever manager has it later. How long that is, in
   * seconds: less than asked for where its worker will not live so long. null: the try has ended.
   */
  handOver(lease: Lease, limits: HandOver): Promise<number | null>;
  /** The worker of a resumable try is away: the lease runs out now, and the try ends once its time to come back is over, too. */
  suspend(lease: Lease, how: { readonly workerAway: boolean }): Promise<boolean>;
  /**
   * The worker is back, in the realm in which it was given the build: the try has a new lease, that has run out unless it is renewed,
   * and what was held before is worth nothing. Else how the try ended; `unknown` where none was ever given this secret there.
   */
  resume(
    proof: ResumeProof,
    request: { readonly realm: string; readonly manager: string },
  ): Promise<ResumedTry | TryOutcome | 'unknown'>;
  /** The worker will not come back: the try is `lost`, at once, for this reason. `false`: it had ended. */
  forsake(proof: ResumeProof, error: BuildFailure): Promise<boolean>;
  /** `baseImage`: what the phase begins to pull, where the worker says it. */
  enterPhase(lease: Lease, phase: string, baseImage?: string): Promise<boolean>;
  /** A step begins: what ran is complete, as are those that began right `before` it, in their order; and the build's progress says so. */
  beginStep(lease: Lease, step: NewStep, before?: readonly NewStep[]): Promise<boolean>;
  /** The build ends. Repeating the call with the same outcome answers `true` again. */
  finish(lease: Lease, result: TryResult): Promise<boolean>;
  /**
   * The try ends, the build does not while counted tries remain; nor while one that is not counted was not lost too often after it
   * had been handed over. What the build became, or null when the lease was lost.
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
  /** The tries that took too long, or of which nothing was heard for too long; none so soon after the database was away. */
  overdue(graceSeconds: number): Promise<readonly OverdueTry[]>;
}
