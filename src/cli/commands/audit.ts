import { auditListSchema, type AuditEntry } from '../../contract/api.ts';
import { exitCodes, type ExitCode } from '../failure.ts';
import type { Session } from '../session.ts';
import { readTime } from '../times.ts';
import { formatTable } from '../view/text.ts';

export interface AuditOptions {
  readonly actor?: string;
  readonly action?: string;
  readonly object?: string;
  readonly since?: string;
  readonly until?: string;
  readonly limit?: string;
  readonly json?: boolean;
}

/** Prints who did what, newest first; as JSON, all that is asked for, an entry a line. `now` in milliseconds since 1970. */
export async function audit(session: Session, options: AuditOptions, now: number): Promise<ExitCode> {
  const query = new URLSearchParams();
  for (const name of ['actor', 'action', 'object', 'limit'] as const) {
    const value = options[name];
    if (value !== undefined) query.set(name, value);
  }
  for (const name of ['since', 'until'] as const) {
    const value = options[name];
    if (value !== undefined) query.set(name, readTime(`--${name}`, value, now, 'ago'));
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
