import type { Actor } from './audit.ts';

/** What the builds of a namespace may pull from the manager's own registry, beside its own repositories and the public ones. */
export interface ReadableStore {
  /** Repositories, `NAMESPACE/*` or `*`, in the order of the alphabet. */
  get(namespace: string): Promise<readonly string[]>;
  /** In the place of those that there are. */
  set(namespace: string, patterns: readonly string[], by: Actor): Promise<void>;
}
