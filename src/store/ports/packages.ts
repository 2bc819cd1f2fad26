export interface NewPackage {
  /** The blob's id. */
  readonly id: string;
  /** In bytes. */
  readonly size: number;
  /** In hexadecimal. */
  readonly sha256: string;
  readonly mediaType: string;
}

export interface PackageRow extends NewPackage {
  /** null while it waits for its build (`NewBuild.packageId`). */
  readonly buildId: string | null;
  readonly createdAt: Date;
}

/** Uploaded packages; their bytes lie in the blob store. */
export interface PackageStore {
  create(newPackage: NewPackage): Promise<PackageRow>;
  find(id: string): Promise<PackageRow | null>;
  findOfBuild(buildId: string): Promise<PackageRow | null>;
  /**
   * Condemns packages that nobody needs: without a build for so long, or of a build that ended so long ago. Answers with all that
   * are condemned: delete each blob, then `forget` it, so that a crash between the two leaves nothing behind.
   */
  condemn(rules: {
    readonly pendingSeconds: number;
    readonly endedSeconds: number;
  }): Promise<readonly string[]>;
  forget(ids: readonly string[]): Promise<void>;
}
