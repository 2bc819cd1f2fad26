import type { Logger } from 'pino';
import { reasonOf } from '../../contract/reason.ts';
import type { Clock } from '../clock.ts';
import type { Engine } from '../engine/engine.ts';
import type { EngineStorage } from '../engine/storage.ts';
import { DESCRIBE_WITHIN_MS } from '../limits.ts';
import { familiarName, type Holds } from './holds.ts';
import type { EngineRecord } from './record.ts';
import type { UseListener } from './recorded-engine.ts';

/** What one build uses of its engine, noted in the record as it goes. */
export interface UseNotes {
  readonly listener: UseListener;
  /** The build is over: it holds nothing any more, and this is when what it used was used last. */
  end(): Promise<void>;
}

export interface UseNotesOptions {
  readonly build: string;
  readonly engine: Engine;
  readonly storage: EngineStorage;
  readonly engineIsOurs: boolean;
  readonly holds: Holds;
  readonly openRecord: () => Promise<EngineRecord>;
  readonly onFull: () => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Begins the notes of a build. A note that cannot be made never ends the build; what it was about counts as somebody else's. */
export function createUseNotes({
  build,
  engine,
  storage,
  engineIsOurs,
  holds,
  openRecord,
  onFull,
  clock,
  logger,
}: UseNotesOptions): UseNotes {
  const used = new Set<string>();
  let before: Promise<ReadonlySet<string> | null> | null = null;
  /** Once for a build: what another one brings meanwhile is in the record. */
  const imagesBefore = (signal: AbortSignal): Promise<ReadonlySet<string> | null> =>
    (before ??= engineIsOurs
      ? Promise.resolve(null)
      : storage.images(signal).then((images) => new Set(images.map(({ id }) => id))));
  const quietly = async <T>(otherwise: T, work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      logger.warn({ reason: reasonOf(error) }, 'the use of an image could not be noted');
      return otherwise;
    }
  };
  const note = (change: (record: EngineRecord) => void): Promise<void> =>
    quietly(undefined, async () => {
      const record = await openRecord();
      change(record);
      await record.save();
    });

  const listener: UseListener = {
    before: async (reference, signal) => {
      await holds.hold(build, reference);
      return quietly({ wasThere: true, images: null }, async () => {
        const found = await engine.inspect(reference, signal);
        if (found) await holds.hold(build, found.imageId);
        return { wasThere: found !== null, images: await imagesBefore(signal) };
      });
    },
    after: async (reference, { wasThere, images }) => {
      // Not with the build's own signal: what it brought is noted also when it is cancelled at this moment.
      const found = await quietly(null, () =>
        engine.inspect(reference, AbortSignal.timeout(DESCRIBE_WITHIN_MS)),
      );
      if (!found) return;
      await holds.hold(build, found.imageId);
      used.add(found.imageId);
      await note((record) => {
        const isNew = images !== null && !images.has(found.imageId);
        const ours = isNew || record.images.get(found.imageId)?.ours === true;
        record.images.set(found.imageId, { usedAt: clock.now(), ours });
        if (!wasThere) record.names.add(familiarName(reference));
      });
    },
    untagged: (reference) => note(({ names }) => void names.delete(familiarName(reference))),
    notUntagged: (reference) => note(({ doomedNames }) => void doomedNames.add(reference)),
    stepLeft: (container) => note(({ doomedContainers }) => void doomedContainers.add(container)),
    full: onFull,
  };
  return {
    listener,
    end: async () => {
      holds.release(build);
      if (used.size === 0) return;
      await note(({ images }) => {
        for (const id of used) {
          const image = images.get(id);
          if (image) image.usedAt = clock.now();
        }
      });
    },
  };
}
