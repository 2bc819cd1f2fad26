import type { Actor } from './audit.ts';

export interface NewCredential {
  readonly namespace: string;
  /** `host` or `host:port`, in the one form in which hosts are kept. */
  readonly registry: string;
  readonly username: string;
  /** Encrypted by the caller; the store never sees what it says. */
  readonly password: Uint8Array;
  readonly setBy: Actor;
}

/** Who the builds of a namespace are at a registry. The password stays where it is. */
export interface CredentialRow extends Omit<NewCredential, 'password' | 'setBy'> {
  readonly setBy: string;
  readonly setAt: Date;
}

/** What a claim carries of a credential. */
export type SealedCredential = Pick<NewCredential, 'registry' | 'username' | 'password'>;

/** The registries' credentials of namespaces. What a build is given is that of the moment when its try was claimed. */
export interface CredentialStore {
  /** By registry. */
  list(namespace: string): Promise<readonly CredentialRow[]>;
  /** Replaces the one that there is. null: the namespace has `max` others already. */
  set(credential: NewCredential, max: number): Promise<CredentialRow | null>;
  /** `false`: there was none. */
  remove(namespace: string, registry: string, by: Actor): Promise<boolean>;
}
