import { RATE_LIMIT_KEYS_MAX } from '../limits.ts';

/**
 * Counts by key in windows of a minute; answers whether there were more than so many. In a minute with more keys than are
 * remembered, all further ones count as one.
 */
export function createRateLimit(most: number, now: () => number): (key: string) => boolean {
  let minute = 0;
  let counts = new Map<string, number>();
  let others = 0;
  return (key) => {
    const current = Math.floor(now() / 60_000);
    if (current !== minute) {
      minute = current;
      counts = new Map();
      others = 0;
    }
    const known = counts.get(key);
    if (known === undefined && counts.size >= RATE_LIMIT_KEYS_MAX) return ++others > most;
    counts.set(key, (known ?? 0) + 1);
    return (known ?? 0) + 1 > most;
  };
}
