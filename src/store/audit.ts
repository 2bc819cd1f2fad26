import type { Database } from './database.ts';
import type { AuditEntry, AuditStore } from './ports/audit.ts';
import { statement } from './statements.ts';
import { keepableText, toJsonb } from './values.ts';

const recordAudit = statement<
  [actor: string, address: string | null, action: string, object: string, detail: string | null]
>('record-audit', { repeatable: false });
const listAudit = statement<
  [
    actor: string | null,
    action: string | null,
    object: string | null,
    since: Date | null,
    until: Date | null,
    before: number | null,
    limit: number,
  ],
  AuditEntry
>('list-audit');

const CURSOR = /^\d{1,15}$/;

/** The port's implementation. */
export function createAuditStore({ run }: Database): AuditStore {
  return {
    async record({ actor: { name, address }, action, object, detail = {} }) {
      await run(recordAudit, [name, address, action, keepableText(object), toJsonb(detail)]);
    },
    async list({ actor, action, object, since, until }, { limit, cursor }) {
      if (cursor !== undefined && !CURSOR.test(cursor)) return { entries: [], nextCursor: null };
      const rows = await run(listAudit, [
        actor ?? null,
        action ?? null,
        object ?? null,
        since ?? null,
        until ?? null,
        cursor === undefined ? null : Number(cursor),
        limit + 1,
      ]);
      const entries = rows.slice(0, limit);
      const last = entries.at(-1);
      return { entries, nextCursor: rows.length > limit && last ? String(last.id) : null };
    },
  };
}
