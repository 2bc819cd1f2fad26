import { join } from 'node:path';
import type { Logger } from 'pino';
import { type Clock, sleep } from '../clock.ts';
import type { Engine } from '../engine/engine.ts';
import type { EngineStorage, StoredLayer } from '../engine/storage.ts';
import {
  DISK_LEAST_FREE_BYTES,
  DISK_ROOM_WITHIN_MS,
  DISK_SWEEP_WITHIN_MS,
  MEASURE_SHARE,
} from '../limits.ts';
import { reasonOf } from '../reason.ts';
import { budgetBytes, showBytes, type DiskBudget } from './budget.ts';
import { createHolds, familiarName } from './holds.ts';
import { openRecord, type EngineRecord } from './record.ts';
import { recordedEngine, type UseListener } from './recorded-engine.ts';
import { engineFileSystem, fileSystemOf } from './space.ts';
import { forgetWhatIsGone, sweep } from './sweep.ts';

/** The disks of a worker: what its builds leave on the engine is kept within a budget, and full ones are noticed. */
export interface Disk {
  /** The engine for one build, which is noted as the user of what it pulls, builds and names, until it has ended. */
  begin(build: string): DiskUse;
  /** Why no build has room, or null. Makes room first where it can. */
  examine(): Promise<string | null>;
  /** Resolves when the engine was brought within the budget, as far as that goes, and what had to wait is removed. */
  sweep(): Promise<void>;
  /** Ends what is being done, and resolves when it has ended. */
  close(): Promise<void>;
}

export interface DiskUse {
  readonly engine: Engine;
  /** The build is over. Resolves at once, unless it found a disk full: then when room was made, or that takes too long. */
  end(): Promise<void>;
}

export interface DiskOptions {
  readonly engine: Engine;
  readonly storage: EngineStorage;
  readonly dockerHost: string;
  /** The worker's own folder: the record lies in it. */
  readonly directory: string;
  readonly budget: DiskBudget;
  readonly engineIsOurs: boolean;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The name of the record in the worker's folder. */
export const RECORD_FILE = 'engine.json';

interface Opened {
  readonly record: EngineRecord;
  readonly dataRoot: string;
}

/** An engine as it was when it was last measured, in bytes; `fileSystemBytes` is what its file system had in use. */
interface Measured {
  readonly usedBytes: number;
  readonly fileSystemBytes: number | null;
}

export function createDisk(options: DiskOptions): Disk {
  const { engine, storage, dockerHost, directory, budget, engineIsOurs, clock, logger } = options;
  const holds = createHolds();
  const layers = new Map<string, readonly StoredLayer[]>();
  let opening: Promise<Opened> | null = null;
  let opened: Opened | null = null;
  let sweeping: Promise<void> = Promise.resolve();
  /** One that waits for the one before; whoever asks meanwhile is served by it too. */
  let queued: Promise<void> | null = null;
  const closing = new AbortController();
  const bounded = (): AbortSignal =>
    AbortSignal.any([closing.signal, AbortSignal.timeout(DISK_SWEEP_WITHIN_MS)]);
  let isFull = false;
  let measured: Measured | null = null;
  /** Milliseconds since 1970: not before then, as measuring costs the engine. */
  let measureAt = 0;

  const open = (): Promise<Opened> => {
    opening ??= (async () => {
      const { identity, dataRoot } = await storage.facts(bounded());
      const record = await openRecord(join(directory, RECORD_FILE), identity, (reason) => {
        logger.warn(
          { reason },
          'what this worker brought to its engine is forgotten, and will not be removed',
        );
      });
      opened = { record, dataRoot };
      return opened;
    })().catch((error: unknown) => {
      opening = null;
      throw error;
    });
    return opening;
  };
  /** Bookkeeping must not end a build. */
  const quietly = async <T>(work: () => Promise<T>, otherwise: T): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      logger.warn({ reason: reasonOf(error) }, 'the use of an image could not be noted');
      return otherwise;
    }
  };

  const sweepOnce = async (): Promise<void> => {
    const signal = bounded();
    const { record, dataRoot } = await open();
    await removeDoomed(storage, engine, record, signal);
    await forgetWhatIsGone({ storage, record, holds }, signal);
    const fileSystem = await engineFileSystem(dockerHost, dataRoot);
    const bytes = budgetBytes(budget, fileSystem?.totalBytes ?? null);
    if (bytes === null) return;
    const inUse = fileSystem === null ? null : fileSystem.totalBytes - fileSystem.freeBytes;
    if (!isFull && engineIsOurs && !isWorthMeasuring(measured, inUse, bytes, clock.now() < measureAt)) return;
    const wasFull = isFull;
    isFull = false;
    const began = clock.now();
    // What fits into the budget and yet filled the disk was too much: half of it must do.
    const target = (used: number): number => (wasFull ? Math.min(bytes, used / 2) : bytes);
    const swept = { storage, record, holds, engineIsOurs, layers, logger };
    const { usedBytes, leftBytes } = await sweep(swept, target, signal);
    const after = await engineFileSystem(dockerHost, dataRoot);
    measured = {
      usedBytes: leftBytes,
      fileSystemBytes: after === null ? null : after.totalBytes - after.freeBytes,
    };
    measureAt = clock.now() + (clock.now() - began) / MEASURE_SHARE;
    const figures = { used: showBytes(leftBytes), budget: showBytes(bytes), full: wasFull };
    if (leftBytes < usedBytes) {
      logger.info({ ...figures, freed: showBytes(usedBytes - leftBytes) }, 'made room on the engine');
    }
    if (leftBytes > bytes) {
      logger.warn(
        figures,
        'the disk budget cannot be kept: running builds use what is left, or it is not for this worker to remove',
      );
    }
  };
  const sweepQuietly = (): Promise<void> => {
    queued ??= sweeping.then(() => {
      queued = null;
      sweeping = sweepOnce().catch((error: unknown) => {
        if (closing.signal.aborted) return;
        logger.warn({ reason: reasonOf(error) }, 'the engine could not be brought within its disk budget');
      });
      return sweeping;
    });
    return queued;
  };

  const listenerOf = (build: string, used: Set<string>): UseListener => {
    let before: Promise<ReadonlySet<string> | null> | null = null;
    /** Once for a build: what another one brings meanwhile is in the record. */
    const imagesBefore = (signal: AbortSignal): Promise<ReadonlySet<string> | null> =>
      (before ??= engineIsOurs
        ? Promise.resolve(null)
        : storage.images(signal).then((images) => new Set(images.map(({ id }) => id))));
    const doom = async (add: (record: EngineRecord) => void): Promise<void> =>
      quietly(async () => {
        const { record } = await open();
        add(record);
        await record.save();
      }, undefined);
    return {
      before: async (reference, signal) => {
        await holds.hold(build, reference);
        return quietly(
          async () => {
            const found = await engine.inspect(reference, signal);
            if (found) await holds.hold(build, found.imageId);
            return { wasThere: found !== null, images: await imagesBefore(signal) };
          },
          { wasThere: true, images: null },
        );
      },
      after: (reference, { wasThere, images }, signal) =>
        quietly(async () => {
          const found = await engine.inspect(reference, signal);
          if (!found) return;
          await holds.hold(build, found.imageId);
          const { record } = await open();
          const isNew = images !== null && !images.has(found.imageId);
          const ours = isNew || record.images.get(found.imageId)?.ours === true;
          record.images.set(found.imageId, { usedAt: clock.now(), ours });
          used.add(found.imageId);
          if (!wasThere) record.names.add(familiarName(reference));
          await record.save();
        }, undefined),
      untagged: (reference) => doom(({ names }) => void names.delete(familiarName(reference))),
      notUntagged: (reference) => doom(({ doomedNames }) => void doomedNames.add(reference)),
      stepLeft: (container) => doom(({ doomedContainers }) => void doomedContainers.add(container)),
      full: () => void (isFull = true),
    };
  };

  return {
    begin: (build) => {
      const used = new Set<string>();
      return {
        engine: recordedEngine(engine, listenerOf(build, used)),
        end: async () => {
          holds.release(build);
          await quietly(async () => {
            if (used.size === 0) return;
            const { record } = await open();
            for (const id of used) {
              const image = record.images.get(id);
              if (image) image.usedAt = clock.now();
            }
            await record.save();
          }, undefined);
          const wasFull = isFull;
          const swept = sweepQuietly();
          if (wasFull) await Promise.race([swept, sleep(clock, DISK_ROOM_WITHIN_MS)]);
        },
      };
    },
    examine: async () => {
      const work = await fileSystemOf(directory);
      if (work && work.freeBytes < DISK_LEAST_FREE_BYTES) return fullDisk('work directory', work.freeBytes);
      // At start nothing waits for what the engine says of itself, which takes it a while.
      void open().catch(() => undefined);
      if (opened === null) return null;
      const { record, dataRoot } = opened;
      if (record.doomedNames.size + record.doomedContainers.size > 0) void sweepQuietly();
      const before = await engineFileSystem(dockerHost, dataRoot);
      if (before === null || before.freeBytes >= DISK_LEAST_FREE_BYTES) return null;
      isFull = true;
      await sweepQuietly();
      const after = await engineFileSystem(dockerHost, dataRoot);
      return after === null || after.freeBytes >= DISK_LEAST_FREE_BYTES
        ? null
        : fullDisk('engine', after.freeBytes);
    },
    sweep: sweepQuietly,
    close: async () => {
      closing.abort(new Error('the worker ends'));
      await (queued ?? sweeping);
    },
  };
}

function fullDisk(whose: string, freeBytes: number): string {
  return `the disk of the ${whose} is full: ${showBytes(freeBytes)} are free`;
}

/** Removes what could not be removed while the engine was away. */
async function removeDoomed(
  storage: EngineStorage,
  engine: Engine,
  record: EngineRecord,
  signal: AbortSignal,
): Promise<void> {
  if (record.doomedNames.size + record.doomedContainers.size === 0) return;
  for (const container of record.doomedContainers) {
    await storage.removeContainer(container, signal);
    record.doomedContainers.delete(container);
  }
  for (const name of record.doomedNames) {
    await engine.untag(name);
    record.doomedNames.delete(name);
    record.names.delete(familiarName(name));
  }
  await record.save();
}

/** Whether an engine of the worker's own may be over its budget: it cannot have grown by more than its file system has. */
function isWorthMeasuring(
  measured: Measured | null,
  fileSystemBytes: number | null,
  budget: number,
  isTooSoon: boolean,
): boolean {
  if (measured === null) return true;
  if (measured.fileSystemBytes === null || fileSystemBytes === null) return !isTooSoon;
  return measured.usedBytes + Math.max(0, fileSystemBytes - measured.fileSystemBytes) > budget;
}
