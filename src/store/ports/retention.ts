/** What keeps the store from growing without a bound. Several managers may do any of it at once. */
export interface RetentionStore {
  /**
   * Packs the logs of tries that ended so long ago into the blob store, of at most `limit` tries, the oldest first. They read as
   * before. Answers with how many were.
   */
  archiveLogs(which: { readonly endedSeconds: number; readonly limit: number }): Promise<number>;
  /** Deletes packed logs that are too old, and the oldest while all together exceed `keepBytes`; at most some thousands. Answers with how many. */
  deleteLogs(rules: { readonly keepSeconds: number; readonly keepBytes: number }): Promise<number>;
  /** Deletes builds that ended so long ago, with their logs; at most `limit` of them. Answers with how many. */
  deleteBuilds(which: { readonly endedSeconds: number; readonly limit: number }): Promise<number>;
  /**
   * Deletes entries of the audit trail that are too old, and the oldest while there are about more than `keepEntries`; at most
   * `limit` of them. Answers with how many.
   */
  deleteAudit(rules: {
    readonly keepSeconds: number;
    readonly keepEntries: number;
    readonly limit: number;
  }): Promise<number>;
  /** Deletes blobs that nothing names, and that are so old that nothing will: a crash left them. Answers with how many. */
  deleteOrphans(olderThanSeconds: number): Promise<number>;
}
