/** The connections of one manager. */
export interface Connections {
  /** With a statement under way. */
  readonly busy: number;
  readonly idle: number;
  /** Statements that wait for a connection. */
  readonly waiting: number;
}

/** How one attempt at a statement ended: `conflict` and, mostly, `away` and `full` (its disk) are tried again. */
export type StatementEnd = 'done' | 'conflict' | 'full' | 'away' | 'failed';

/** Told of each attempt at a statement. */
export type StatementObserver = (statement: string, end: StatementEnd, seconds: number) => void;

export interface Health {
  /** Asks the database for an answer. `false`: it is away. */
  ping(): Promise<boolean>;
  /** Since when the database does not answer; null while it does. */
  readonly awaySince: Date | null;
  /** Since when it has answered without a break; null while it does not. */
  readonly upSince: Date | null;
  readonly connections: Connections;
}
