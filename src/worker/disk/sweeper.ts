import type { Logger } from 'pino';
import { reasonOf } from '../../contract/reason.ts';
import type { Clock } from '../clock.ts';
import { type Engine, EngineError } from '../engine/engine.ts';
import type { EngineStorage, StoredLayer } from '../engine/storage.ts';
import { DISK_SWEEP_WITHIN_MS, MEASURE_SHARE } from '../limits.ts';
import { budgetBytes, showBytes, type DiskBudget } from './budget.ts';
import { familiarName, type Holds } from './holds.ts';
import type { EngineRecord } from './record.ts';
import { engineFileSystem, type FileSystem } from './space.ts';
import { forgetWhatIsGone, sweep } from './sweep.ts';

/** When an engine is brought within its budget: one sweep after the other, and no more of them than there is reason for. */
export interface Sweeper {
  /** Resolves when a sweep that began after this call is over. Never throws: the log has why it failed. */
  sweep(): Promise<void>;
  /** The engine's disk was found full: the next sweep keeps half of what is there. */
  noteFull(): void;
  readonly isFull: boolean;
  /** Ends the sweep that runs, and resolves when it has ended. */
  close(): Promise<void>;
}

export interface SweeperOptions {
  readonly engine: Engine;
  readonly storage: EngineStorage;
  readonly dockerHost: string;
  readonly budget: DiskBudget;
  readonly engineIsOurs: boolean;
  readonly holds: Holds;
  /** The record, and where the engine keeps its data; rejects while the engine does not answer. */
  readonly open: () => Promise<{ readonly record: EngineRecord; readonly dataRoot: string }>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** An engine as it was when it was last measured. */
interface Measured {
  readonly usedBytes: number;
  /** What its file system had in use, in bytes; null where that cannot be seen. */
  readonly fileSystemBytes: number | null;
  /** Not before then again, in milliseconds since 1970, unless its file system tells that it grew: measuring costs the engine. */
  readonly againAt: number;
}

const UNSEEN =
  'DISK_BUDGET is a share of a disk that this worker cannot see, so that nothing is removed: give it in bytes';
const KEPT_BY_OTHERS =
  'the disk budget cannot be kept: running builds use what is left, or it is not for this worker to remove';

export function createSweeper(options: SweeperOptions): Sweeper {
  const { storage, dockerHost, budget, engineIsOurs, holds, clock, logger } = options;
  const layers = new Map<string, readonly StoredLayer[]>();
  const closing = new AbortController();
  let sweeping: Promise<void> = Promise.resolve();
  /** One that waits for the one before; whoever asks meanwhile is served by it too. */
  let queued: Promise<void> | null = null;
  let isFull = false;
  let saidUnseen = false;
  let measured: Measured | null = null;

  const sweepOnce = async (): Promise<void> => {
    const signal = AbortSignal.any([closing.signal, AbortSignal.timeout(DISK_SWEEP_WITHIN_MS)]);
    const { record, dataRoot } = await options.open();
    await removeDoomed(options, record, signal);
    await forgetWhatIsGone({ storage, record, holds }, signal);
    if (budget === 'none') return;
    const fileSystem = await engineFileSystem(dockerHost, dataRoot);
    if (fileSystem === null && 'share' in budget) {
      if (!saidUnseen) logger.warn({ data_root: dataRoot }, UNSEEN);
      saidUnseen = true;
      return;
    }
    const bytesOf = (used: number): number =>
      budgetBytes(budget, used + (fileSystem?.freeBytes ?? 0)) ?? Number.POSITIVE_INFINITY;
    const isDue = measured === null || mayBeOver(measured, fileSystem, bytesOf, clock.now());
    // Where others use the engine, what counts is known without asking it for much.
    if (!isFull && engineIsOurs && !isDue) return;
    const wasFull = isFull;
    isFull = false;
    const began = clock.now();
    const { usedBytes, leftBytes } = await sweep(
      { storage, record, holds, engineIsOurs, layers, logger },
      // What fits into the budget and yet filled the disk was too much: half of it must do.
      (used) => (wasFull ? Math.min(bytesOf(used), used / 2) : bytesOf(used)),
      signal,
    );
    const after = await engineFileSystem(dockerHost, dataRoot);
    measured = {
      usedBytes: leftBytes,
      fileSystemBytes: after && inUse(after),
      againAt: clock.now() + (clock.now() - began) / MEASURE_SHARE,
    };
    const bytes = bytesOf(usedBytes);
    const figures = { used: showBytes(leftBytes), budget: showBytes(bytes), full: wasFull };
    if (leftBytes < usedBytes) {
      logger.info({ ...figures, freed: showBytes(usedBytes - leftBytes) }, 'made room on the engine');
    }
    if (leftBytes > bytes) logger.warn(figures, KEPT_BY_OTHERS);
  };

  return {
    sweep: () => {
      queued ??= sweeping.then(() => {
        queued = null;
        sweeping = sweepOnce().catch((error: unknown) => {
          if (closing.signal.aborted) return;
          logger.warn({ reason: reasonOf(error) }, 'the engine could not be brought within its disk budget');
        });
        return sweeping;
      });
      return queued;
    },
    noteFull: () => void (isFull = true),
    get isFull() {
      return isFull;
    },
    close: async () => {
      closing.abort(new Error('the worker ends'));
      await (queued ?? sweeping);
    },
  };
}

/** Whether an engine of the worker's own may be over its budget: it cannot have grown by more than its file system has. */
function mayBeOver(
  { usedBytes, fileSystemBytes, againAt }: Measured,
  fileSystem: FileSystem | null,
  bytesOf: (used: number) => number,
  now: number,
): boolean {
  if (fileSystemBytes === null || fileSystem === null) return now >= againAt;
  const most = usedBytes + Math.max(0, inUse(fileSystem) - fileSystemBytes);
  return most > bytesOf(most);
}

function inUse({ totalBytes, freeBytes }: FileSystem): number {
  return totalBytes - freeBytes;
}

/** Removes what could not be removed while the engine was away; what it will not remove now either is left to it. */
async function removeDoomed(
  { engine, storage, logger }: Pick<SweeperOptions, 'engine' | 'storage' | 'logger'>,
  record: EngineRecord,
  signal: AbortSignal,
): Promise<void> {
  if (record.doomedNames.size + record.doomedContainers.size === 0) return;
  const remove = async (what: string, work: () => Promise<void>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      if (!(error instanceof EngineError) || error.kind === 'unreachable') throw error;
      logger.warn({ what, reason: error.message }, 'the engine keeps what a build left');
    }
  };
  for (const container of record.doomedContainers) {
    await remove(container, () => storage.removeContainer(container, signal));
    record.doomedContainers.delete(container);
  }
  for (const name of record.doomedNames) {
    await remove(name, () => engine.untag(name));
    record.doomedNames.delete(name);
    record.names.delete(familiarName(name));
  }
  await record.save();
}
