import { createHash } from 'node:crypto';
import type { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import type pg from 'pg';
import { to as copyTo } from 'pg-copy-streams';
import { pack, type Pack } from 'tar-stream';
import { connect } from '../connect.ts';
import { disconnect, type Address } from '../database.ts';
import { BackupUnusable } from '../errors.ts';
import type { BlobStore } from '../ports/blobs.ts';
import { names, PIECE_BYTES, type BackupTable, type Contents, type Manifest } from './format.ts';
import { copyOf, listTables } from './tables.ts';

export interface BackupOptions {
  readonly address: Address;
  readonly blobs: BlobStore;
  /** Of this program. */
  readonly version: string;
  /** Told what is being written, and how many bytes of it were. */
  readonly onProgress: (part: string, bytes: number) => void;
}

/** What a backup holds. */
export interface BackupSummary {
  readonly tables: number;
  readonly blobs: number;
  /** Packages and logs that were deleted while the backup was written, since their time was over. */
  readonly missingBlobs: readonly string[];
}

/**
 * Writes a backup of everything, as it is at one moment, while managers go on working: every table by COPY in one snapshot,
 * then the packages and finished logs that it names. Ends `output`, or destroys it when it fails.
 */
export async function writeBackup(output: Writable, options: BackupOptions): Promise<BackupSummary> {
  const tar = pack();
  const written = pipeline(tar, createGzip({ level: 5 }), output);
  // Whoever fails first says why: the database, or the place where it is written.
  const packed = packAll(tar, options).catch((error: unknown) => {
    tar.destroy(error instanceof Error ? error : new Error(String(error)));
    throw error;
  });
  const [summary] = await Promise.all([packed, written]);
  return summary;
}

async function packAll(
  tar: Pack,
  { address, blobs, version, onProgress }: BackupOptions,
): Promise<BackupSummary> {
  const contents: Contents = { tables: {}, blobs: {} };
  const missingBlobs: string[] = [];
  const client = await connect(address);
  await using _connection = { [Symbol.asyncDispose]: () => disconnect(client) };
  await client.query('begin transaction isolation level repeatable read read only');
  const tables = await listTables(client);
  if (tables.length === 0)
    throw new BackupUnusable('the database is empty: no manager was ever started with it');
  const migrations = await client.query<{ checksum: string }>(
    'select checksum from migrations order by number',
  );
  const manifest: Manifest = {
    format: 1,
    version,
    createdAt: new Date().toISOString(),
    migrations: migrations.rows.map(({ checksum }) => checksum),
    tables: [...tables],
  };
  await packBuffer(tar, names.manifest, json(manifest));
  for (const table of tables) {
    contents.tables[table.name] = await packTable(tar, client, table, onProgress);
  }
  // A package of no build was never accepted: its bytes may come, or be gone already.
  const named = await client.query<{ id: string }>(
    `select id from packages where condemned_at is null and build_id is not null
     union all select blob_id from log_archives where condemned_at is null`,
  );
  await client.query('commit');
  for (const { id } of named.rows) {
    const blob = await blobs.open(id);
    if (!blob) {
      missingBlobs.push(id);
      continue;
    }
    contents.blobs[id] = await packBlob(tar, id, blob);
    onProgress(names.blob(id), blob.size);
  }
  await packBuffer(tar, names.contents, json(contents));
  tar.finalize();
  return { tables: tables.length, blobs: Object.keys(contents.blobs).length, missingBlobs };
}

type Part = Contents['tables'][string];

/** In pieces, since a tar says the size of an entry before its bytes, and nobody knows that of a table. */
async function packTable(
  tar: Pack,
  client: pg.Client,
  table: BackupTable,
  onProgress: BackupOptions['onProgress'],
): Promise<Part> {
  const hash = createHash('sha256');
  let bytes = 0;
  let pieces = 0;
  let piece: Buffer[] = [];
  let pieceBytes = 0;
  const flush = async (): Promise<void> => {
    pieces += 1;
    await packBuffer(tar, names.tablePiece(table.name, pieces), Buffer.concat(piece));
    piece = [];
    pieceBytes = 0;
    onProgress(table.name, bytes);
  };
  const rows = client.query(copyTo(`${copyOf(table)} to stdout`)) as AsyncIterable<Buffer>;
  for await (const chunk of rows) {
    hash.update(chunk);
    bytes += chunk.length;
    piece.push(chunk);
    pieceBytes += chunk.length;
    if (pieceBytes >= PIECE_BYTES) await flush();
  }
  if (pieceBytes > 0) await flush();
  return { bytes, sha256: hash.digest('hex') };
}

async function packBlob(
  tar: Pack,
  id: string,
  { content, size }: { readonly content: Readable; readonly size: number },
): Promise<Part> {
  const hash = createHash('sha256');
  const hashed = async function* (chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of chunks) {
      hash.update(chunk);
      yield chunk;
    }
  };
  const entry = tar.entry({ name: names.blob(id), size });
  if (size > 0) await pipeline(content, hashed, entry);
  else entry.end(Buffer.alloc(0));
  return { bytes: size, sha256: hash.digest('hex') };
}

function packBuffer(tar: Pack, name: string, bytes: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    tar.entry({ name, size: bytes.length }, bytes, (error) => {
      if (error) reject(error);
      else resolve();
    });
  });
}

function json(value: unknown): Buffer {
  return Buffer.from(`${JSON.stringify(value, null, 2)}\n`);
}
