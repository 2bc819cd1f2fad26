import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type pg from 'pg';
import { connect } from './connect.ts';
import { disconnect, type Address } from './database.ts';
import { StoreUnusable } from './errors.ts';

/** One step of the schema. */
export interface Migration {
  /** Counts from 1, without gaps. */
  readonly number: number;
  readonly name: string;
  readonly text: string;
}

const FILE_NAME = /^(\d{4})-([a-z0-9-]+)\.sql$/;

/** Ours alone among the advisory locks of the database: the letters `quay`. */
const LOCK = 0x71756179;

const RECORDS = `create table if not exists migrations (
  number integer primary key,
  name text not null,
  checksum text not null,
  applied_at timestamptz not null default now()
)`;

/** The migrations that this program knows, in order. */
export function loadMigrations(directory = join(import.meta.dirname, 'migrations')): readonly Migration[] {
  return readdirSync(directory)
    .sort()
    .flatMap((file) => {
      const match = FILE_NAME.exec(file);
      if (!match) return [];
      const [, number, name = ''] = match;
      return [{ number: Number(number), name, text: readFileSync(join(directory, file), 'utf8') }];
    });
}

/** By which a migration that ran is known again. */
export function checksumOf({ text }: Pick<Migration, 'text'>): string {
  return createHash('sha256').update(text).digest('hex');
}

/**
 * Brings the schema up to what this program needs, each migration in a transaction of its own. Programs that start together wait
 * for each other. Fails with {@link StoreUnusable} when the schema is newer than the program, or is not what it says it is.
 */
export async function migrate(address: Address, migrations: readonly Migration[]): Promise<void> {
  const client = await connect(address);
  try {
    await client.query('select pg_advisory_lock($1)', [LOCK]);
    await client.query(RECORDS);
    const { rows } = await client.query<{ number: number; name: string; checksum: string }>(
      'select number, name, checksum from migrations order by number',
    );
    const applied = new Map(rows.map((row) => [row.number, row]));
    const newest = rows.at(-1);
    if (newest && newest.number > migrations.length) {
      throw new StoreUnusable(
        `The database's schema is newer (${newest.number}, "${newest.name}") than this program knows (${migrations.length}). ` +
          'Start the version of quay-build-manager that wrote it, or a later one.',
      );
    }
    for (const migration of migrations) await apply(client, migration, applied.get(migration.number));
  } finally {
    // The lock goes with the connection.
    await disconnect(client);
  }
}

async function apply(
  client: pg.Client,
  { number, name, text }: Migration,
  applied: { readonly checksum: string } | undefined,
): Promise<void> {
  const checksum = checksumOf({ text });
  if (applied?.checksum === checksum) return;
  if (applied) {
    throw new StoreUnusable(
      `Migration ${number} ("${name}") of the database is not the one of this program. ` +
        'The database belongs to another program or to an unreleased version: give this one a database of its own.',
    );
  }
  await client.query('begin');
  await client.query(text);
  await client.query('insert into migrations (number, name, checksum) values ($1, $2, $3)', [
    number,
    name,
    checksum,
  ]);
  await client.query('commit');
}
