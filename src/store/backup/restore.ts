import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { Readable, type Writable } from 'node:stream';
import { finished, pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import { extract, type Extract, type Header } from 'tar-stream';
import type { z } from 'zod';
import { connect } from '../connect.ts';
import { disconnect, type Address } from '../database.ts';
import { BackupUnusable } from '../errors.ts';
import { checksumOf, loadMigrations, migrate } from '../migrations.ts';
import type { BlobStore } from '../ports/blobs.ts';
import {
  BLOB,
  contentsSchema,
  JSON_BYTES,
  manifestSchema,
  names,
  TABLE_PIECE,
  type Contents,
  type Manifest,
} from './format.ts';
import { copyOf, listTables } from './tables.ts';

export interface RestoreOptions {
  readonly address: Address;
  readonly blobs: BlobStore;
  /** Told what is being restored, and how many bytes of it were. */
  readonly onProgress: (part: string, bytes: number) => void;
}

/** What was restored. */
export interface RestoreSummary {
  /** When the backup was written, and by which version. */
  readonly createdAt: string;
  readonly version: string;
  readonly tables: number;
  readonly blobs: number;
}

/**
 * Puts a backup into an empty database, and its packages and finished logs into the blob store, then brings the schema up to this program's. All of it
 * or nothing: what is not whole, or not as it was written, is undone. Fails with {@link BackupUnusable} for a backup that is no good or a
 * database that is not empty, and with {@link StoreUnusable}.
 */
export async function restoreBackup(input: Readable, options: RestoreOptions): Promise<RestoreSummary> {
  const client = await connect(options.address);
  await using _connection = { [Symbol.asyncDispose]: () => disconnect(client) };
  const restoredBlobs: string[] = [];
  const tar = extract();
  // From here on, without a pause: nobody would hear of the first entry.
  const unpacked = pipeline(input, createGunzip(), tar);
  unpacked.catch(() => undefined);
  try {
    const manifest = await load(tar, client, options, restoredBlobs);
    await unpacked;
    await client.query('commit');
    await migrate(options.address, loadMigrations());
    await client.query('analyze');
    const { createdAt, version, tables } = manifest;
    return { createdAt, version, tables: tables.length, blobs: restoredBlobs.length };
  } catch (error) {
    input.destroy();
    for (const id of restoredBlobs) await options.blobs.delete(id);
    throw unusable(error);
  }
}

/** What the reading of a broken file says, in words for who has the file. */
function unusable(error: unknown): unknown {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const message = error instanceof Error ? error.message : '';
  if (/^Z_|ERR_STREAM_PREMATURE_CLOSE/.test(code) || /tar|Unexpected end of data/i.test(message)) {
    return new BackupUnusable(`it is broken or not whole (${message})`, { cause: error });
  }
  return error;
}

/** Leaves the transaction open, for who knows that the whole file was read. */
async function load(
  tar: Extract,
  client: pg.Client,
  { address, blobs, onProgress }: RestoreOptions,
  restoredBlobs: string[],
): Promise<Manifest> {
  let manifest: Manifest | null = null;
  let contents: Contents | null = null;
  let table: TableLoad | null = null;
  const seen: Contents = { tables: {}, blobs: {} };
  for await (const entry of tar) {
    const { name, size } = entry.header;
    if (name === names.manifest) {
      manifest = await readJson(entry, manifestSchema);
      await prepare(address, client, manifest);
      for (const { name: empty } of manifest.tables) seen.tables[empty] = NOTHING;
      continue;
    }
    if (!manifest) throw new BackupUnusable('it does not begin as a backup of quay-build-manager does');
    const tableName = TABLE_PIECE.exec(name)?.[1];
    if (table && table.name !== tableName) {
      seen.tables[table.name] = await table.end();
      table = null;
    }
    const blobId = BLOB.exec(name)?.[1];
    if (tableName !== undefined) {
      table ??= loadTable(client, manifest, tableName);
      onProgress(tableName, await table.add(bytesOf(entry)));
    } else if (blobId !== undefined) {
      const stored = await blobs.put(Readable.from(bytesOf(entry)), { maxBytes: size, id: blobId });
      restoredBlobs.push(blobId);
      seen.blobs[blobId] = { bytes: stored.size, sha256: stored.sha256 };
      onProgress(name, size);
    } else if (name === names.contents) contents = await readJson(entry, contentsSchema);
    else throw new BackupUnusable(`it holds ${JSON.stringify(name)}, which no backup does`);
  }
  if (!manifest || !contents) throw new BackupUnusable('it is not whole: its end is missing');
  demandSame(contents, seen);
  await finish(client, manifest);
  return manifest;
}

/** Makes the schema that the backup was written from, in a database that holds nothing, and begins the transaction. */
async function prepare(address: Address, client: pg.Client, manifest: Manifest): Promise<void> {
  const known = loadMigrations();
  if (manifest.migrations.length > known.length) {
    throw new BackupUnusable(
      `it was written by a newer quay-build-manager (${manifest.version}): restore it with that one, or a later`,
    );
  }
  const schema = known.slice(0, manifest.migrations.length);
  if (schema.some((migration, index) => checksumOf(migration) !== manifest.migrations[index])) {
    throw new BackupUnusable(
      `it was written by another program, or an unreleased version (${manifest.version})`,
    );
  }
  for (const { name } of await listTables(client)) {
    const { rowCount } = await client.query(`select from ${pg.escapeIdentifier(name)} limit 1`);
    if (rowCount !== 0) {
      throw new BackupUnusable(
        `the database is not empty: its table "${name}" has rows. Restore into an empty database, or a new DATA_DIR`,
      );
    }
  }
  await migrate(address, schema);
  const tables = await listTables(client);
  if (JSON.stringify(tables) !== JSON.stringify(manifest.tables)) {
    throw new BackupUnusable('its tables are not those of its schema');
  }
  await client.query('begin');
  // What the triggers would do was done before the backup, or is nobody's business while it is restored.
  for (const { name } of tables)
    await client.query(`alter table ${pg.escapeIdentifier(name)} disable trigger user`);
}

async function finish(client: pg.Client, { tables }: Manifest): Promise<void> {
  const counted = await client.query<{ table: string; column: string; sequence: string }>(COUNTED_COLUMNS);
  for (const { table, column, sequence } of counted.rows) {
    const newest = `(select max(${pg.escapeIdentifier(column)}) from ${pg.escapeIdentifier(table)})`;
    await client.query(`select setval($1::regclass, ${newest}) where ${newest} is not null`, [sequence]);
  }
  for (const { name } of tables)
    await client.query(`alter table ${pg.escapeIdentifier(name)} enable trigger user`);
}

const COUNTED_COLUMNS = `select table_name as table, column_name as column,
    pg_get_serial_sequence(quote_ident(table_name), column_name) as sequence
  from information_schema.columns
  where table_schema = current_schema() and is_identity = 'YES'`;

interface TableLoad {
  readonly name: string;
  /** Answers with how many bytes of the table there were by now. */
  add(piece: AsyncIterable<Uint8Array>): Promise<number>;
  end(): Promise<Part>;
}

type Part = Contents['tables'][string];
const NOTHING: Part = { bytes: 0, sha256: createHash('sha256').digest('hex') };

function loadTable(client: pg.Client, { tables }: Manifest, name: string): TableLoad {
  const table = tables.find((each) => each.name === name);
  if (!table) throw new BackupUnusable(`it holds rows of "${name}", which its manifest does not name`);
  const rows: Writable = client.query(copyFrom(`${copyOf(table)} from stdin`));
  const written = finished(rows);
  written.catch(() => undefined);
  const hash = createHash('sha256');
  let bytes = 0;
  return {
    name,
    async add(piece) {
      for await (const chunk of piece) {
        hash.update(chunk);
        bytes += chunk.length;
        if (!rows.write(chunk)) await Promise.race([once(rows, 'drain'), written]);
      }
      return bytes;
    },
    async end() {
      rows.end();
      await written;
      return { bytes, sha256: hash.digest('hex') };
    },
  };
}

function demandSame(written: Contents, seen: Contents): void {
  for (const kind of ['tables', 'blobs'] as const) {
    for (const name of new Set([...Object.keys(written[kind]), ...Object.keys(seen[kind])])) {
      const [one, other] = [written[kind][name], seen[kind][name]];
      if (one && one.bytes === other?.bytes && one.sha256 === other.sha256) continue;
      throw new BackupUnusable(`${kind}/${name} is not as it was written`);
    }
  }
}

async function readJson<T>(
  entry: AsyncIterable<unknown> & { header: Header },
  schema: z.ZodType<T>,
): Promise<T> {
  const { name, size } = entry.header;
  if (size > JSON_BYTES) throw new BackupUnusable(`its ${name} is larger than ${JSON_BYTES} bytes`);
  const chunks: Uint8Array[] = [];
  for await (const chunk of bytesOf(entry)) chunks.push(chunk);
  try {
    return schema.parse(JSON.parse(Buffer.concat(chunks).toString('utf8')));
  } catch (error) {
    throw new BackupUnusable(`its ${name} is of another format`, { cause: error });
  }
}

/** tar-stream's entries are byte streams, which their types do not say. */
async function* bytesOf(entry: AsyncIterable<unknown>): AsyncGenerator<Uint8Array> {
  for await (const chunk of entry) if (chunk instanceof Uint8Array) yield chunk;
}
