export interface NewRealm {
  /** Unguessable, of the caller's making. */
  readonly name: string;
  readonly kind: 'enterprise' | 'hosted';
  /** Of the token that a hosted worker shows; null for enterprise. */
  readonly tokenHash: Uint8Array | null;
  readonly buildId: string | null;
  /** How long it waits for its worker. */
  readonly expiresInSeconds: number;
  /** The name of the ticket that its worker showed; null for none. */
  readonly registeredAs: string | null;
}

/** Who joins a realm, for the audit trail. */
export interface JoiningWorker {
  readonly id: string;
  /** Without a port. */
  readonly address: string;
}

export interface RealmRow {
  readonly name: string;
  readonly kind: 'enterprise' | 'hosted';
  readonly tokenHash: Uint8Array | null;
  readonly buildId: string | null;
  readonly createdAt: Date;
  readonly expiresAt: Date;
  readonly joinedAt: Date | null;
  readonly registeredAs: string | null;
}

/** The realms that were allocated: only these may be joined. An expired one is as if it had never been. */
export interface RealmStore {
  allocate(realm: NewRealm): Promise<RealmRow>;
  find(name: string): Promise<RealmRow | null>;
  /**
   * The realm lives for so long from now on, unless kept. A worker that registered by a ticket is in the audit trail from here on.
   * `false`: there is no such realm, or it has its worker.
   */
  markJoined(name: string, worker: JoiningWorker, expiresInSeconds: number): Promise<boolean>;
  /** Moves the expiry of those that are still there, in one statement. */
  keep(names: readonly string[], expiresInSeconds: number): Promise<void>;
  /** Those of these whose worker was forgotten: the session in it must end. */
  forgotten(names: readonly string[]): Promise<readonly string[]>;
  remove(name: string): Promise<void>;
  /** Removes the expired. Answers with their names. */
  sweep(): Promise<readonly string[]>;
}
