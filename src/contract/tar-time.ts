/** In milliseconds since 1970: tar-stream writes others as what no reader takes for a time, and Docker refuses the archive. */
const LAST = (2 ** 31 - 1) * 1000;

/** The time of a file, in milliseconds since 1970, as an archive may have it: one before 1970 or after January 2038 is the nearest between. */
export function tarTime(ms: number): Date {
  return new Date(Math.min(Math.max(ms, 0), LAST));
}
