import pg from 'pg';
import type { BackupTable } from './format.ts';

const TABLES = `select c.relname as name,
    array_agg(a.attname::text order by a.attnum) as columns,
    array(
      select f.relname::text from pg_constraint k join pg_class f on f.oid = k.confrelid
      where k.conrelid = c.oid and k.contype = 'f' and k.confrelid <> c.oid
    ) as "refersTo"
  from pg_class c
  join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
  where c.relkind in ('r', 'p') and not c.relispartition and c.relname <> 'migrations'
    and c.relnamespace = current_schema()::regnamespace
  group by c.oid, c.relname
  order by c.relname`;

/** The tables of the schema but that of its migrations, each after those that it refers to. */
export async function listTables(client: pg.Client): Promise<readonly BackupTable[]> {
  const { rows } = await client.query<BackupTable & { refersTo: readonly string[] }>(TABLES);
  const ordered: BackupTable[] = [];
  let left = rows;
  while (left.length > 0) {
    const waits = new Set(left.map(({ name }) => name));
    const next = left.filter(({ refersTo }) => !refersTo.some((name) => waits.has(name)));
    if (next.length === 0) throw new Error('The tables refer to each other in a circle.');
    ordered.push(...next.map(({ name, columns }) => ({ name, columns })));
    left = left.filter((row) => !next.includes(row));
  }
  return ordered;
}

/** `copy TABLE (COLUMNS)`, the beginning of both ways. */
export function copyOf({ name, columns }: BackupTable): string {
  return `copy ${pg.escapeIdentifier(name)} (${columns.map((column) => pg.escapeIdentifier(column)).join(', ')})`;
}
