import { HOSTED_RETRIES_MS, RECONNECT_FIRST_MS, RECONNECT_LONGEST_MS } from '../limits.ts';

/** How long to wait before the next try to connect; null is to give up. `failures` counts those in a row, from 1. */
export type RetryDelay = (failures: number) => number | null;

/** Contract 0.3, "Connecting", 1: five tries. */
export const hostedRetryDelay: RetryDelay = (failures) => HOSTED_RETRIES_MS[failures - 1] ?? null;

/** An enterprise worker never gives up; half of the wait is random, so that a farm does not come back as one. */
export function enterpriseRetryDelay(random: () => number): RetryDelay {
  return (failures) => {
    const longest = Math.min(RECONNECT_FIRST_MS * 2 ** (failures - 1), RECONNECT_LONGEST_MS);
    return longest * (0.5 + random() / 2);
  };
}
