import type { BuildArgumentsMessage } from '../../contract/build-arguments.ts';
import type { ExtensionName, LogBatch, WorkerOffer } from '../../contract/extensions.ts';

/** What a try's owner hears from the worker that runs it. */
export interface SlotListener {
  /** One log message or phase change; `false` tells the worker to stop. */
  message(phase: string, jsonData: string): Promise<boolean>;
  batch(batch: LogBatch): Promise<boolean>;
  /** The tag whose image may prime the cache, or `''`. */
  cacheTag(): Promise<string>;
}

/** How a worker answered `build`. */
export type BuildAnswer =
  | { readonly type: 'result'; readonly kwargs: unknown }
  | { readonly type: 'error'; readonly uri: string; readonly baseError: string }
  /** Its connection is gone: whatever it does now, it cannot tell us. */
  | { readonly type: 'gone'; readonly handedOver: boolean };

/**
 * One build at a time on a connected worker: one connection, one realm.
 *
 *     joining ──ready──▶ ready ──build──▶ busy ──answered──▶ ready
 *        └──────────────────┴───── its connection goes ─────┴──────▶ gone
 */
export interface Slot {
  readonly realm: string;
  readonly worker: NonNullable<WorkerOffer['worker']>;
  readonly extensions: readonly ExtensionName[];
  /** Hands a build over and resolves, without ever failing, when the worker answered or is gone. One at a time. */
  build(args: BuildArgumentsMessage, listener: SlotListener): Promise<BuildAnswer>;
  /** Tells a worker that listens that its build was cancelled; others learn it from their next log message. */
  tellCancelled(reason: string): void;
}
