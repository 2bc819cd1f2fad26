import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { connectionOptions, disconnect, type Address } from './database.ts';
import { StoreUnusable } from './errors.ts';

/** The oldest that has all that the statements use, as `server_version_num`. */
const OLDEST_SERVER = 130_000;

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

/** No error of the client's becomes a cause: one about a URL carries it whole, with its password. */
async function connect(address: Address): Promise<pg.Client> {
  try {
    const client = new pg.Client(connectionOptions(address));
    // What is lost is met by the statement that is under way.
    client.on('error', () => undefined);
    await client.connect();
    const { rows } = await client.query<{ version: number; name: string }>(
      "select current_setting('server_version_num')::integer as version, current_setting('server_version') as name",
    );
    const [server] = rows;
    if (server && server.version >= OLDEST_SERVER) return client;
    await disconnect(client);
    throw new Error(`it is PostgreSQL ${server?.name ?? ''}, and 13 is the oldest that serves`);
  } catch (error) {
    const help =
      address.connectionString === undefined
        ? ''
        : ' Check DATABASE_URL, as postgresql://USER:PASSWORD@HOST:5432/DATABASE, ' +
          'that the server is up, and that the user owns the database.';
    throw new StoreUnusable(`The database cannot be used: ${messageOf(error)}.${help}`);
  }
}

function messageOf(error: unknown): string {
  // One for each address of the host.
  if (error instanceof AggregateError) return error.errors.map(messageOf).join('; ');
  return error instanceof Error ? error.message : String(error);
}

async function apply(
  client: pg.Client,
  { number, name, text }: Migration,
  applied: { readonly checksum: string } | undefined,
): Promise<void> {
  const checksum = createHash('sha256').update(text).digest('hex');
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
