/** Something that the manager sealed, and where it lies. */
export type SealedValue = {
  readonly sealed: Uint8Array;
} & SealedPlace;

export type SealedPlace =
  | { readonly place: 'build'; readonly buildId: string }
  | { readonly place: 'key'; readonly name: string }
  | { readonly place: 'credential'; readonly namespace: string; readonly registry: string };

/** All that is sealed, wherever it lies, so that the key can be changed. `fingerprint` is that of a key, as it stands in what it sealed. */
export interface SealedStore {
  /** How many secrets each key has sealed. */
  counts(): Promise<readonly { readonly fingerprint: Uint8Array; readonly count: number }[]>;
  /** Some that other keys have sealed. */
  listOthers(fingerprint: Uint8Array, limit: number): Promise<readonly SealedValue[]>;
  /** Puts another in the place of what was listed. `false`: it has changed meanwhile, or is gone. */
  replace(value: SealedValue, sealed: Uint8Array): Promise<boolean>;
}
