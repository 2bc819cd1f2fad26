export interface Health {
  /** Asks the database for an answer. `false`: it is away. */
  ping(): Promise<boolean>;
  /** Since when the database does not answer; null while it does. */
  readonly awaySince: Date | null;
  /** Since when it has answered without a break; null while it does not. */
  readonly upSince: Date | null;
}
