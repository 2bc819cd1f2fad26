import { RETRY_DELAYS_SECONDS, RETRY_JITTER } from '../limits.ts';

/**
 * How long a build waits before it is tried again, in seconds: longer after each try that it has used up, and never quite the same, so that
 * builds that failed together do not come back together.
 *
 * @param triesCounted how many tries it had used up before the one that failed
 * @param random answers with a number from 0 to 1, as `Math.random`
 */
export function retryDelaySeconds(triesCounted: number, random: () => number): number {
  const last = RETRY_DELAYS_SECONDS.length - 1;
  const delay = RETRY_DELAYS_SECONDS[Math.min(triesCounted, last)] ?? 0;
  return delay * (1 + RETRY_JITTER * (2 * random() - 1));
}
