/** The largest id, 2^53 (WAMP, "IDs"). */
const MAX_ID = 9_007_199_254_740_992;

/** An id of the global scope: uniform over 1 to 2^53. `random` is uniform over [0, 1). */
export function globalId(random: () => number): number {
  return Math.floor(random() * MAX_ID) + 1;
}

/** Whether a value is an id: an integer from 1 to 2^53. */
export function isId(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 1 && (value as number) <= MAX_ID;
}
