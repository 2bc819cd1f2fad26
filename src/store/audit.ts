import { connect } from './connect.ts';
import { disconnect, type Address, type Database } from './database.ts';
import type { AuditEntry, AuditStore, NewAuditEntry } from './ports/audit.ts';
import { statement } from './statements.ts';
import { keepableText, toJsonb } from './values.ts';

const recordAudit = statement<EntryValues>('record-audit', { repeatable: false });
const isAudited = statement<[], { audited: boolean }>('is-audited');
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
    async record(entry) {
      await run(recordAudit, valuesOf(entry));
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

/** The same where no store is open. A database that has no trail, or takes no writes, records nothing. */
export async function recordOnce(address: Address, entry: NewAuditEntry): Promise<void> {
  const client = await connect(address);
  try {
    const { rows } = await client.query<{ audited: boolean }>(isAudited.text);
    if (rows[0]?.audited === true) await client.query(recordAudit.text, valuesOf(entry));
  } finally {
    await disconnect(client);
  }
}

type EntryValues = [
  actor: string,
  address: string | null,
  action: string,
  object: string,
  detail: string | null,
];

function valuesOf({ actor: { name, address }, action, object, detail = {} }: NewAuditEntry): EntryValues {
  return [name, address, action, keepableText(object), toJsonb(detail)];
}
