export interface NewKey {
  readonly name: string;
  readonly kind: string;
  /** Encrypted by the caller. */
  readonly material: Uint8Array;
  /** PEM, or null where the kind has none. */
  readonly certificate: string | null;
}

export interface KeyRow extends NewKey {
  readonly createdAt: Date;
  readonly retiredAt: Date | null;
}

/** The managers' own secrets, such as signing keys, shared by all managers of a database. */
export interface KeyStore {
  /** Stores a key, unless its name is taken. Answers with the key of that name: the first of several managers wins. */
  create(key: NewKey): Promise<KeyRow>;
  /** Newest first, those retired too. */
  list(kind: string): Promise<readonly KeyRow[]>;
  retire(name: string): Promise<void>;
}
