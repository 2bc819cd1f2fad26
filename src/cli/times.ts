import { CliError, exitCodes } from './failure.ts';

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** The last time that a `Date` can be. */
const LAST_TIME_MS = 8.64e15;

/**
 * Reads a time in ISO 8601, or how far it is from now: `90s`, `30m`, `2h`, `7d`. `now` in milliseconds since 1970. Answers in ISO 8601,
 * UTC. Throws a CliError for what is none.
 */
export function readTime(option: string, text: string, now: number, way: 'ago' | 'from now'): string {
  const [, count, unit = ''] = /^(\d{1,9})([smhd])$/.exec(text) ?? [];
  const distance = Number(count) * (SECONDS[unit] ?? 0) * 1000;
  const time = count === undefined ? Date.parse(text) : way === 'ago' ? now - distance : now + distance;
  if (
    Math.abs(time) > LAST_TIME_MS ||
    Number.isNaN(time) ||
    (count === undefined && !/^\d{4}-\d\d/.test(text))
  ) {
    throw new CliError(
      exitCodes.usage,
      `${option} ${text} is no time.`,
      `Give a day or a time, as 2026-11-20 or 2026-11-20T08:00Z, or how long ${way}, as 30m, 2h or 7d.`,
    );
  }
  return new Date(time).toISOString();
}
