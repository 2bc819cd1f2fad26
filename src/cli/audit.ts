import { auditListSchema, type AuditEntry } from '../contract/api.ts';
import { CliError, exitCodes, type ExitCode } from './failure.ts';
import type { Session } from './session.ts';
import { formatTable } from './text.ts';

export interface AuditOptions {
  readonly actor?: string;
  readonly action?: string;
  readonly object?: string;
  readonly since?: string;
  readonly until?: string;
  readonly limit?: string;
  readonly json?: boolean;
}

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** Prints who did what, newest first; as JSON, all that is asked for, an entry a line. `now` in milliseconds since 1970. */
export async function audit(session: Session, options: AuditOptions, now: number): Promise<ExitCode> {
  const query = new URLSearchParams();
  for (const name of ['actor', 'action', 'object', 'limit'] as const) {
    const value = options[name];
    if (value !== undefined) query.set(name, value);
  }
  for (const name of ['since', 'until'] as const) {
    const value = options[name];
    if (value !== undefined) query.set(name, readTime(`--${name}`, value, now));
  }
  const path = `/api/v1/audit?${query.toString()}`;
  if (options.json === true) {
    const lines = await session.client.stream(path, 'application/x-ndjson');
    for await (const text of lines.setEncoding('utf8') as AsyncIterable<string>) session.print(text);
  } else {
    session.print(listEntries((await session.client.get(path, auditListSchema)).entries));
  }
  return exitCodes.ok;
}

/** A time in ISO 8601, or how long ago: `90s`, `30m`, `2h`, `7d`. Answers in ISO 8601, UTC. */
function readTime(option: string, text: string, now: number): string {
  const [, count, unit = ''] = /^(\d{1,9})([smhd])$/.exec(text) ?? [];
  const time = count === undefined ? Date.parse(text) : now - Number(count) * (SECONDS[unit] ?? 0) * 1000;
  if (Number.isNaN(time) || (count === undefined && !/^\d{4}-\d\d/.test(text))) {
    throw new CliError(
      exitCodes.usage,
      `${option} ${text} is no time.`,
      `Give a day or a time, as 2026-11-20 or 2026-11-20T08:00Z, or how long ago, as 30m, 2h or 7d.`,
    );
  }
  return new Date(time).toISOString();
}

function listEntries(entries: readonly AuditEntry[]): string {
  if (entries.length === 0) return 'nothing\n';
  return formatTable(
    ['TIME', 'ACTOR', 'ADDRESS', 'ACTION', 'OBJECT', 'DETAIL'],
    entries.map(({ at, actor, address, action, object, detail }) => [
      at,
      actor,
      address ?? '',
      action,
      object,
      Object.entries(detail)
        .map(([name, value]) => `${name}=${isPlain(value) ? value : JSON.stringify(value)}`)
        .join(' '),
    ]),
  );
}

/** Whether a value can stand in a table as it is. */
function isPlain(value: unknown): value is string {
  return typeof value === 'string' && !/\p{Cc}/u.test(value);
}
