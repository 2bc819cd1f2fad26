import { join } from 'node:path';
import type { Logger } from 'pino';
import { type Clock, sleep } from '../clock.ts';
import type { Engine } from '../engine/engine.ts';
import type { EngineStorage } from '../engine/storage.ts';
import { DESCRIBE_WITHIN_MS, DISK_LEAST_FREE_BYTES, DISK_ROOM_WITHIN_MS, ROOM_AGAIN_MS } from '../limits.ts';
import { showBytes, type DiskBudget } from './budget.ts';
import { createHolds } from './holds.ts';
import { openRecord, type EngineRecord } from './record.ts';
import { recordedEngine } from './recorded-engine.ts';
import { engineFileSystem, fileSystemOf } from './space.ts';
import { createSpaceGuard } from './space-guard.ts';
import { createSweeper } from './sweeper.ts';
import { createUseNotes } from './use-notes.ts';

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

interface DiskUse {
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
const RECORD_LOST = 'what this worker brought to its engine is forgotten, and will not be removed';

interface Opened {
  readonly record: EngineRecord;
  readonly dataRoot: string;
}

export function createDisk(options: DiskOptions): Disk {
  const { engine, storage, dockerHost, directory, clock, logger } = options;
  const holds = createHolds();
  let opening: Promise<Opened> | null = null;
  let opened: Opened | null = null;

  const openOnce = async (): Promise<Opened> => {
    const { identity, dataRoot } = await storage.facts(AbortSignal.timeout(DESCRIBE_WITHIN_MS));
    const record = await openRecord(join(directory, RECORD_FILE), identity, (reason) => {
      logger.warn({ reason }, RECORD_LOST);
    });
    opened = { record, dataRoot };
    return opened;
  };
  const open = (): Promise<Opened> => {
    opening ??= openOnce().catch((error: unknown) => {
      opening = null;
      throw error;
    });
    return opening;
  };
  const sweeper = createSweeper({ ...options, holds, open });
  /** What is free where the engine keeps its data, in bytes; without an end where that cannot be seen. */
  const freeBytes = async (): Promise<number> => {
    const seen = opened && (await engineFileSystem(dockerHost, opened.dataRoot));
    return seen?.freeBytes ?? Number.POSITIVE_INFINITY;
  };
  const guard = createSpaceGuard(freeBytes, clock);
  /** The engine lets go of what a failed build had only after a while, so that room is looked for several times. */
  const makeRoom = async (): Promise<void> => {
    const until = clock.now() + DISK_ROOM_WITHIN_MS;
    for (let wait = ROOM_AGAIN_MS; ; wait *= 2) {
      sweeper.noteFull();
      const swept = new AbortController();
      void sweeper.sweep().then(() => swept.abort());
      await sleep(clock, until - clock.now(), swept.signal);
      if ((await freeBytes()) >= DISK_LEAST_FREE_BYTES || clock.now() + wait > until) return;
      await sleep(clock, wait);
    }
  };

  return {
    begin: (build) => {
      const notes = createUseNotes({
        ...options,
        build,
        holds,
        openRecord: async () => (await open()).record,
        onFull: () => sweeper.noteFull(),
      });
      return {
        engine: recordedEngine(engine, notes.listener, guard),
        end: async () => {
          await notes.end();
          if (sweeper.isFull) await makeRoom();
          else void sweeper.sweep();
        },
      };
    },
    examine: async () => {
      const own = await fileSystemOf(directory);
      if (own && own.freeBytes < DISK_LEAST_FREE_BYTES) return fullDisk('work directory', own.freeBytes);
      // At start nothing waits for what the engine says of itself, which takes it a while.
      void open().catch(() => undefined);
      if (opened === null) return null;
      const { record } = opened;
      if (record.doomedNames.size + record.doomedContainers.size > 0) void sweeper.sweep();
      if ((await freeBytes()) >= DISK_LEAST_FREE_BYTES) return null;
      sweeper.noteFull();
      await sweeper.sweep();
      const left = await freeBytes();
      return left >= DISK_LEAST_FREE_BYTES ? null : fullDisk('engine', left);
    },
    sweep: () => sweeper.sweep(),
    close: () => sweeper.close(),
  };
}

function fullDisk(whose: string, freeBytes: number): string {
  return `the disk of the ${whose} is full: ${showBytes(freeBytes)} are free`;
}
