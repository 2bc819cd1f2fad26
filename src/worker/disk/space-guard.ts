import type { Clock } from '../clock.ts';
import { EngineError } from '../engine/engine.ts';
import { DISK_LEAST_FREE_BYTES, SPACE_LOOK_MS } from '../limits.ts';
import { showBytes } from './budget.ts';

/**
 * Stops what fills the engine's disk while there is still a little room: an engine without any can neither note what it gives up nor
 * measure what it has (seen with Docker 20.10 and BuildKit).
 */
export interface SpaceGuard {
  /** Does work that may fill the disk. Its signal fires with the given one, or, with an EngineError `full`, when room runs out. */
  guard<T>(signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T>;
}

/** `freeBytes` is without an end where the engine's disk cannot be seen. */
export function createSpaceGuard(freeBytes: () => Promise<number>, clock: Clock): SpaceGuard {
  const guarded = new Set<AbortController>();
  let isLooking = false;
  const look = async (): Promise<void> => {
    const free = await freeBytes();
    if (free < DISK_LEAST_FREE_BYTES) {
      const error = new EngineError('full', `${showBytes(free)} were free, and the engine was stopped`);
      for (const each of guarded) each.abort(error);
    }
    if (guarded.size === 0) isLooking = false;
    else clock.after(SPACE_LOOK_MS, () => void look());
  };
  return {
    guard: async (signal, work) => {
      const controller = new AbortController();
      guarded.add(controller);
      if (!isLooking) {
        isLooking = true;
        void look();
      }
      try {
        return await work(AbortSignal.any([signal, controller.signal]));
      } finally {
        guarded.delete(controller);
      }
    },
  };
}
