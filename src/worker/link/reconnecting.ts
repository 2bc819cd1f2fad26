import {
  HOSTED_RETRIES_MS,
  RECONNECT_FIRST_MS,
  RECONNECT_LONGEST_MS,
  RESUME_FIRST_MS,
  RESUME_LONGEST_MS,
} from '../limits.ts';

/** How long to wait before the next try to connect; null is to give up. `failures` counts those in a row, from 1. */
export type RetryDelay = (failures: number) => number | null;

/** Contract 0.3, "Connecting", 1: five tries. */
export const hostedRetryDelay: RetryDelay = (failures) => HOSTED_RETRIES_MS[failures - 1] ?? null;

/** An enterprise worker never gives up; half of the wait is random, so that a farm does not come back as one. */
export function enterpriseRetryDelay(random: () => number): RetryDelay {
  return growing(RECONNECT_FIRST_MS, RECONNECT_LONGEST_MS, random);
}

/** A worker that has a build comes back sooner: somebody waits for it. The first wait counts as one after a failure. */
export function resumeRetryDelay(random: () => number): RetryDelay {
  return growing(RESUME_FIRST_MS, RESUME_LONGEST_MS, random);
}

function growing(first: number, longest: number, random: () => number): RetryDelay {
  return (failures) => Math.min(first * 2 ** (failures - 1), longest) * (0.5 + random() / 2);
}
