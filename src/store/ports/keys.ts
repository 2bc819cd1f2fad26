import type { Actor } from './audit.ts';

export interface NewKey {
  readonly name: string;
  readonly kind: string;
  /** Encrypted by the caller. */
  readonly material: Uint8Array;
  /** PEM, or null where the kind has none. */
  readonly certificate: string | null;
  /** Whether it is used from now on, and not only made known. */
  readonly isActive: boolean;
}

export interface KeyRow extends Omit<NewKey, 'isActive'> {
  readonly createdAt: Date;
  /** Since when it is used, or was until one became active after it; null while it is only made known. */
  readonly activeSince: Date | null;
}

/** The managers' own secrets, such as signing keys, shared by all managers of a database. */
export interface KeyStore {
  /** Stores a key, unless its name is taken. Answers with the key of that name: the first of several managers wins. */
  create(key: NewKey): Promise<KeyRow>;
  /** Newest first. */
  list(kind: string): Promise<readonly KeyRow[]>;
  /** From now on it is the one that is used. `false`: it has been already, or there is no such key. */
  activate(name: string, by: Actor): Promise<boolean>;
  /** Deletes one that is not the one that is used. `false`: it is, or there is no such key. */
  retire(name: string, by: Actor): Promise<boolean>;
}
