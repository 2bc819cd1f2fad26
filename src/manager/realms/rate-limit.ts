import { RATE_LIMIT_KEYS_MAX } from '../limits.ts';

/** Counts one more of this key, and answers whether there were more than so many. */
export interface RateLimit {
  (key: string): boolean;
  /** Whether one more would be too many. Counts nothing. */
  isReached(key: string): boolean;
}

/**
 * Counts by key in windows of a minute. In a minute with more keys than are remembered, all further ones count as one.
 */
export function createRateLimit(most: number, now: () => number): RateLimit {
  let minute = 0;
  let counts = new Map<string, number>();
  let others = 0;
  const turnMinute = (): void => {
    const current = Math.floor(now() / 60_000);
    if (current === minute) return;
    minute = current;
    counts = new Map();
    others = 0;
  };
  const isOther = (key: string): boolean => !counts.has(key) && counts.size >= RATE_LIMIT_KEYS_MAX;
  const count = (key: string): boolean => {
    turnMinute();
    if (isOther(key)) return ++others > most;
    const sum = (counts.get(key) ?? 0) + 1;
    counts.set(key, sum);
    return sum > most;
  };
  return Object.assign(count, {
    isReached(key: string) {
      turnMinute();
      return (isOther(key) ? others : (counts.get(key) ?? 0)) >= most;
    },
  });
}
