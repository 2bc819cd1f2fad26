import type { Claim, Lease } from './leases.ts';

export interface NewHostedWorker {
  /** By which its executor knows it. */
  readonly id: string;
  readonly executor: string;
  /** Whose executor that is. */
  readonly manager: string;
  /** Unguessable, of the caller's making. */
  readonly realm: string;
  /** Of the token that the worker will show. */
  readonly tokenHash: Uint8Array;
  /** How long its realm waits for it. */
  readonly setupSeconds: number;
  /** How long it may live. */
  readonly lifetimeSeconds: number;
}

export interface HostedWorkerRow {
  readonly id: string;
  readonly executor: string;
  /** Of the try that it was started for. */
  readonly lease: Lease;
  /**
   * Whether it may live on. Not when it has outlived its time, when its realm is gone, as when it did not come in time, when its
   * try ended before it came, or when it did not leave after its try.
   */
  readonly isWanted: boolean;
  /** Whether it has not come yet, and its try waits for it. */
  readonly isAwaited: boolean;
  /** Whether its connection is gone, and its try waits for it to come back. */
  readonly isAway: boolean;
  /** Whether its try has ended: it is about to leave. */
  readonly isOver: boolean;
}

/** The workers that executors were asked to start: each for one try, with a realm of its own, which it dies with. */
export interface HostedWorkerStore {
  /** Writes worker and realm, before an executor is asked for it. `false`: the try has ended, and nothing was written. */
  allocate(lease: Lease, worker: NewHostedWorker): Promise<boolean>;
  /**
   * The worker of a realm is there: its build becomes `running`, under the lease of the manager that it came to. null: the try has
   * ended, or was somebody else's before. Repeating the call answers the same while the try runs.
   */
  begin(
    realm: string,
    worker: {
      readonly manager: string;
      readonly id: string;
      readonly slot: number;
      readonly leaseSeconds: number;
    },
  ): Promise<Claim | null>;
  /** Those of a manager's executors. `leaveSeconds`: how long a worker may stay after its try. */
  list(manager: string, leaveSeconds: number): Promise<readonly HostedWorkerRow[]>;
  /** Removes a worker that its try still waits for, and its realm. `false`: it has come, or its try has ended, and it is left. */
  withdraw(id: string): Promise<boolean>;
  /** Removes a worker and its realm: nobody may join that any more. */
  remove(id: string): Promise<void>;
}
