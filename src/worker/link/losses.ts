import type { Clock } from '../clock.ts';
import { LOSSES_EVERY_MS } from '../limits.ts';

/** Counts what was lost of a build's log, so that a manager which refuses every line does not fill the worker's own. */
export interface Losses {
  add(messages: number, error: unknown): void;
  /** Tells what has not been told yet. */
  end(): void;
}

/** Tells of the first loss at once, and of those after it together, now and then. `tell` gets the last error of them. */
export function createLosses(clock: Clock, tell: (messages: number, error: unknown) => void): Losses {
  let untold = 0;
  let last: unknown;
  let told = -Infinity;
  const flush = (): void => {
    if (untold === 0) return;
    tell(untold, last);
    untold = 0;
    told = clock.now();
  };
  return {
    add: (messages, error) => {
      untold += messages;
      last = error;
      if (clock.now() - told >= LOSSES_EVERY_MS) flush();
    },
    end: flush,
  };
}
