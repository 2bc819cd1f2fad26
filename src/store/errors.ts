/** The database cannot be reached, or went away before it answered: what was asked may or may not have happened. */
export class DatabaseAway extends Error {
  override readonly name: string = 'DatabaseAway';
}

/** The database has no room on its disk for what was asked: nothing of it happened. It is as good as away until somebody makes room. */
export class DatabaseFull extends DatabaseAway {
  override readonly name = 'DatabaseFull';
}

/** The store cannot be used as it is; the message says what to do about it. */
export class StoreUnusable extends Error {
  override readonly name = 'StoreUnusable';
}

/** A build was submitted with a package that is not there, or that is another build's. */
export class PackageNotPending extends Error {
  override readonly name = 'PackageNotPending';

  constructor(id: string) {
    super(`There is no package ${id} that waits for its build.`);
  }
}

/** As many builds of a namespace wait as may. */
export class NamespaceFull extends Error {
  override readonly name = 'NamespaceFull';
  /** How many may. */
  readonly limit: number;

  constructor(namespace: string, limit: number) {
    super(`${limit} builds of ${namespace} wait, and no more may.`);
    this.limit = limit;
  }
}

/** A blob is larger than it may be. */
export class BlobTooLarge extends Error {
  override readonly name = 'BlobTooLarge';
  /** In bytes. */
  readonly maxBytes: number;

  constructor(maxBytes: number) {
    super(`It is larger than ${maxBytes} bytes.`);
    this.maxBytes = maxBytes;
  }
}

/** A backup cannot be restored, or not here; the message says why. */
export class BackupUnusable extends Error {
  override readonly name = 'BackupUnusable';
}
