import type { LogPosition, LogRecord } from '../../contract/api.ts';
import type { Lease } from './leases.ts';

export interface LogPage {
  /** By try, then by `seq`. */
  readonly records: readonly LogRecord[];
  /** Whether more was stored when this was read. */
  readonly more: boolean;
}

/** The logs of builds, stored in chunks: what is appended in one call is one row. */
export interface LogStore {
  /**
   * Stores records of the lease's try, in order of `seq`; those at or below the last that is stored are dropped. Answers with the
   * last `seq` stored, or null when the try has ended: nothing was stored then.
   *
   * `messages` says of which message of the worker's each record is, where those are numbered: the last one is kept with the records, in
   * one and the same moment.
   */
  append(lease: Lease, records: readonly LogRecord[], messages?: readonly number[]): Promise<number | null>;
  /**
   * The try's worker said something that is not kept: it counts as heard, and its messages up to this one as stored. `false`: the try
   * has ended.
   */
  heard(lease: Lease, message: number): Promise<boolean>;
  /** What comes after a position, at most `limit` records. */
  read(buildId: string, after: LogPosition, limit: number): Promise<LogPage>;
}
