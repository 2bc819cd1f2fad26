import { z } from 'zod';

/**
 * A backup is a tar, packed by gzip, of
 *
 *     manifest.json                  what it is, before all that it holds
 *     tables/NAME/NUMBER.copy        a table's rows as COPY writes them, in pieces, the tables in the order of the manifest
 *     blobs/ID                       a package, or the log of a try that ended
 *     contents.json                  what it held: without it, at the end, a backup is not whole
 */
export const names = {
  manifest: 'manifest.json',
  contents: 'contents.json',
  tablePiece: (table: string, number: number) => `tables/${table}/${String(number).padStart(6, '0')}.copy`,
  blob: (id: string) => `blobs/${id}`,
} as const;

export const TABLE_PIECE = /^tables\/([a-z_]+)\/\d{6,}\.copy$/;
export const BLOB = /^blobs\/([0-9a-f-]{36})$/;

/** How much of a table one entry of the tar holds, in bytes, or a little more. */
export const PIECE_BYTES = 4 * 1024 * 1024;
/** No JSON of a backup is larger, in bytes. */
export const JSON_BYTES = 64 * 1024 * 1024;

export const manifestSchema = z.object({
  format: z.literal(1),
  /** Of the program that wrote it. */
  version: z.string(),
  createdAt: z.iso.datetime(),
  /** The migrations that made the schema, in order, by the SHA-256 of each. */
  migrations: z.array(z.string()),
  /** A table that refers to another comes after it. */
  tables: z.array(z.object({ name: z.string().regex(/^[a-z_]+$/), columns: z.array(z.string()) })),
});
export type Manifest = z.output<typeof manifestSchema>;
export type BackupTable = Manifest['tables'][number];

const partSchema = z.object({ bytes: z.number(), sha256: z.string() });
export const contentsSchema = z.object({
  tables: z.record(z.string(), partSchema),
  blobs: z.record(z.string(), partSchema),
});
export type Contents = z.output<typeof contentsSchema>;
