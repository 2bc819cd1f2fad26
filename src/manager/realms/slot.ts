import type { BuildArgumentsMessage } from '../../contract/build-arguments.ts';
import type { ExtensionName, LogBatch, WorkerOffer } from '../../contract/extensions.ts';

/** What a try's owner hears from the worker that runs it. */
export interface SlotListener {
  /** One log message or phase change; `false` tells the worker to stop. */
  message(phase: string, jsonData: string): Promise<boolean>;
  batch(batch: LogBatch): Promise<boolean>;
  /** The tag whose image may prime the cache, or `''`. */
  cacheTag(): Promise<string>;
  /** Resolves when the try's end is stored: whether it is this end. */
  readonly concluded: Promise<boolean>;
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
 *        │                └───── its connection goes ─────┴──────▶ gone
 *        └── resuming its build ──▶ busy ──reported, and leaves ──▶ gone
 */
export interface Slot {
  readonly realm: string;
  readonly worker: NonNullable<WorkerOffer['worker']>;
  readonly extensions: readonly ExtensionName[];
  /** Hands a build over and resolves, without ever failing, when the worker said how it ended or is gone. One at a time. */
  build(args: BuildArgumentsMessage, listener: SlotListener): Promise<BuildAnswer>;
  /** The worker came back with its build: listens to it from now on, as `build` does. */
  resume(listener: SlotListener): Promise<BuildAnswer>;
  /** Resolves when it may be given another build, or is gone: a resumed slot gets none. */
  free(): Promise<void>;
  /** Tells a worker that listens that its build was cancelled; others learn it from their next log message. */
  tellCancelled(reason: string): void;
  /** Ends its session: the worker is gone then, and may register anew. */
  dismiss(reason: string): void;
}
