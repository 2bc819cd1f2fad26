/**
 * A hint that something changed: look at the database.
 *
 * - `queue`: a build waits.
 * - `build`: its state, phase or progress changed.
 * - `log`: its log has grown.
 * - `worker`: it was drained, resumed or forgotten.
 * - `resync`: hints may have been missed: look at everything.
 */
export type WakeUp =
  | { readonly type: 'queue' }
  | { readonly type: 'build'; readonly id: string }
  | { readonly type: 'log'; readonly id: string }
  | { readonly type: 'worker'; readonly id: string }
  | { readonly type: 'resync' };

export interface WakeUps {
  /** Calls the listener, which must not throw, until the returned function is called. */
  subscribe(listener: (event: WakeUp) => void): () => void;
}
