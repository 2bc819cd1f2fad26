import type { Clock } from '../clock.ts';
import { GATHER_CHARACTERS, GATHER_MS } from '../limits.ts';

/** Joins pieces of output that come one right after the other: an engine tells of each write, and a piece costs more than its text. */
export interface Gathering {
  /** Takes a piece of a step's output; resolves when there is room for the next. */
  push(id: string | undefined, text: string): Promise<void>;
  /** Resolves when all that was taken is delivered. */
  flush(): Promise<void>;
}

/**
 * Delivers pieces in order, one delivery at a time: after a moment, when they are enough, and when those of another step follow.
 * What `deliver` throws is thrown by the next call.
 */
export function createGathering(
  deliver: (id: string | undefined, text: string) => Promise<void>,
  clock: Clock,
): Gathering {
  let gathered: string[] = [];
  let length = 0;
  let gatheredId: string | undefined;
  let callOff: (() => void) | null = null;
  let last: Promise<void> = Promise.resolve();
  let delivering = false;

  const flush = (): Promise<void> => {
    callOff?.();
    callOff = null;
    if (length === 0) return last;
    const [id, text] = [gatheredId, gathered.join('')];
    gathered = [];
    length = 0;
    delivering = true;
    last = last.then(() => deliver(id, text)).then(() => void (delivering = false));
    // Whoever comes next is told.
    last.catch(() => undefined);
    return last;
  };
  return {
    push: async (id, text) => {
      while (delivering || (length > 0 && id !== gatheredId)) await flush();
      gatheredId = id;
      gathered.push(text);
      length += text.length;
      if (length >= GATHER_CHARACTERS) return flush();
      callOff ??= clock.after(GATHER_MS, () => void flush());
    },
    flush,
  };
}
