import type { Lease } from './leases.ts';

export interface NewCapability {
  /** Of the secret; the secret itself is never stored. */
  readonly hash: Uint8Array;
  readonly scopes: readonly string[];
  readonly expiresInSeconds: number;
}

export interface CapabilityRow {
  readonly buildId: string;
  readonly try: number;
  readonly scopes: readonly string[];
  readonly expiresAt: Date;
}

/** What a try may do elsewhere: fetch its package, push. It dies with the try. */
export interface CapabilityStore {
  /** `false`: the try has ended. */
  grant(lease: Lease, capability: NewCapability): Promise<boolean>;
  /** null when it is unknown, expired or revoked. */
  find(hash: Uint8Array): Promise<CapabilityRow | null>;
  revokeTry(buildId: string, number: number): Promise<void>;
  /** Deletes those that are of no use to anyone any more. */
  sweep(): Promise<void>;
}
