/** Lets so many do something at once, and so many others wait for it, in the order in which they came. */
export interface Turns {
  /** Resolves when it is this one's turn, which lasts until it is disposed of; null when too many wait, or the wait was too long. */
  take(): Promise<Disposable | null>;
}

export interface TurnsOptions {
  readonly atOnce: number;
  readonly waitingMax: number;
  /** Milliseconds. */
  readonly waitMs: number;
}

export function createTurns({ atOnce, waitingMax, waitMs }: TurnsOptions): Turns {
  let taken = 0;
  const waiting = new Set<() => void>();
  const turn = (): Disposable => ({
    [Symbol.dispose]: () => {
      const [next] = waiting;
      if (next) next();
      else taken -= 1;
    },
  });
  return {
    take: () =>
      new Promise((resolve) => {
        if (taken < atOnce) {
          taken += 1;
          resolve(turn());
        } else if (waiting.size >= waitingMax) {
          resolve(null);
        } else {
          const call = (): void => {
            clearTimeout(timer);
            waiting.delete(call);
            resolve(turn());
          };
          const timer = setTimeout(() => {
            waiting.delete(call);
            resolve(null);
          }, waitMs);
          waiting.add(call);
        }
      }),
  };
}
