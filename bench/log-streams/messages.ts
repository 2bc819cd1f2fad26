/** What the benchmark asks of its two processes: the one of the workers, and the one of the viewers. */

export type WorkersRequest =
  | { readonly type: 'connect'; readonly url: string; readonly workers: number }
  /** Streams lines of every build from now on, for so long, and ends the builds. */
  | { readonly type: 'stream'; readonly linesASecond: number; readonly milliseconds: number };

export interface WorkersReply {
  /** Lines of each build, sent and answered. */
  readonly lines: number;
}

export type ViewersRequest =
  | { readonly type: 'view'; readonly url: string; readonly builds: readonly string[] }
  /** Answered when every log has ended. */
  | { readonly type: 'report' };

export interface ViewersReply {
  /** Lines that came in order, of all builds together, and how often one did not follow the one before. */
  readonly lines: number;
  readonly gaps: number;
  /** From a line's print to its arrival at a viewer, in milliseconds. */
  readonly p50: number;
  readonly p99: number;
}
