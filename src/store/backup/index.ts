import { access } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import type { Logger } from 'pino';
import { recordOnce } from '../audit.ts';
import type { Address } from '../database.ts';
import { startEmbeddedServer } from '../embedded/server.ts';
import { BackupUnusable } from '../errors.ts';
import type { Actor } from '../ports/audit.ts';
import { restoreBackup, type RestoreOptions, type RestoreSummary } from './restore.ts';
import { writeBackup, type BackupOptions, type BackupSummary } from './write.ts';

/** Where the database is, as for the store itself. */
interface Place {
  /** A server of the user's own, `postgresql://…`; without it ours, in the data folder. */
  readonly databaseUrl: string | undefined;
  readonly dataDirectory: string;
  readonly log: Logger;
  /** Who does it, and with which file, for the audit trail. */
  readonly by: Actor;
  readonly file: string;
}

/**
 * {@link writeBackup} of the database of a manager, which may be running. It is in the audit trail before anybody has the copy. Fails with
 * {@link BackupUnusable} where there is none.
 */
export async function backUp(
  output: Writable,
  { databaseUrl, dataDirectory, log, by, file, ...options }: Place & Omit<BackupOptions, 'address'>,
): Promise<BackupSummary> {
  if (databaseUrl === undefined) {
    await access(join(dataDirectory, 'postgresql', 'data')).catch((error: unknown) => {
      throw new BackupUnusable(`there is no database in ${dataDirectory}: check DATA_DIR and DATABASE_URL`, {
        cause: error,
      });
    });
  }
  return withDatabase({ databaseUrl, dataDirectory, log }, async (address) => {
    await recordOnce(address, { actor: by, action: 'backup.write', object: file });
    return writeBackup(output, { address, ...options });
  });
}

/** {@link restoreBackup} into the database of a manager that was never started. */
export function restore(
  input: Readable,
  { databaseUrl, dataDirectory, log, by, file, ...options }: Place & Omit<RestoreOptions, 'address'>,
): Promise<RestoreSummary> {
  return withDatabase({ databaseUrl, dataDirectory, log }, async (address) => {
    const summary = await restoreBackup(input, { address, ...options });
    const detail = { created_at: summary.createdAt, version: summary.version };
    await recordOnce(address, { actor: by, action: 'backup.restore', object: file, detail });
    return summary;
  });
}

async function withDatabase<T>(
  { databaseUrl, dataDirectory, log }: Omit<Place, 'by' | 'file'>,
  work: (address: Address) => Promise<T>,
): Promise<T> {
  if (databaseUrl !== undefined) return work({ connectionString: databaseUrl });
  const server = await startEmbeddedServer({ dataDirectory, log });
  try {
    return await work(server.address);
  } finally {
    await server.stop();
  }
}
