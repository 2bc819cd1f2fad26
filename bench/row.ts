/** One line of the table, and one entry of `bench-results.json`. */
export interface Row {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** What it was measured against in the same run, in words and figures. */
  readonly baseline: string;
  /** In words; null for a figure that is only reported. */
  readonly goal: string | null;
  readonly met: boolean;
}

/** The middle of some figures; the mean of the two in the middle when they are even in number. */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** The value below which this part (0 to 1) of some figures lies. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (sorted.length - 1) * part;
  const below = sorted[Math.floor(at)] ?? Number.NaN;
  const above = sorted[Math.ceil(at)] ?? Number.NaN;
  return below + (above - below) * (at - Math.floor(at));
}

/** How long some work takes, in milliseconds. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await work();
  return performance.now() - begun;
}
