import { join } from 'node:path';
import type { Logger } from 'pino';
import { openBlobFolder, openStore, type BlobStore, type Store } from '../../store/index.ts';
import { meterStore } from '../metrics/meter-store.ts';
import { probeStore } from '../metrics/probe-store.ts';
import { demandOwnKey } from '../secrets/own-key.ts';
import { createSecretBox, type RekeyableBox } from '../secrets/secret-box.ts';
import { loadSecretKeys, secretKeyPath } from '../secrets/secret-key.ts';
import { watchSecretKeys } from '../secrets/watched-keys.ts';
import type { ManagerSettings } from '../settings.ts';
import type { ManagerSurroundings } from './surroundings.ts';

/** What a manager keeps: in the database, on the disk, and sealed by its key. */
export interface ManagerState {
  /** Seals what lies in the store. */
  readonly box: RekeyableBox;
  /** Packages, and logs of tries that ended. */
  readonly blobs: BlobStore;
  readonly store: Store;
}

/**
 * Opens what a manager keeps, and has the key's file watched.
 *
 * @throws SecretKeyError or SealError for a key that cannot be read or is not that of the store, StoreUnusable for the store.
 */
export async function openState({
  settings,
  dataDirectory,
  metrics,
  logger,
  now,
  starting,
}: ManagerSurroundings): Promise<ManagerState> {
  const box = await openSecretBox(settings, logger);
  const blobs = await openBlobFolder(join(dataDirectory, 'blobs'));
  const opened = await openStore({
    dataDirectory,
    blobs,
    databaseUrl: settings.DATABASE_URL ?? undefined,
    log: logger,
    onStatement: (statement, end, seconds) => {
      metrics.statements.observe({ statement }, seconds);
      if (end !== 'done') metrics.statementFailures.inc({ reason: end });
    },
  });
  starting.defer(() => opened.close());
  const store = meterStore(opened, metrics, now);
  probeStore(metrics, store, now);
  await demandOwnKey(store.keys, box);
  const stopWatching = watchSecretKeys({
    path: secretKeyPath(settings),
    box,
    demandOwn: (each) => demandOwnKey(store.keys, each),
    logger,
  });
  starting.defer(stopWatching);
  return { box, blobs, store };
}

async function openSecretBox(settings: ManagerSettings, logger: Logger): Promise<RekeyableBox> {
  const path = secretKeyPath(settings);
  const { keys, created } = await loadSecretKeys(path, { create: settings.SECRET_KEY_FILE === null });
  if (created) logger.info({ path }, 'made the key that seals credentials: keep it with the data');
  return createSecretBox(keys);
}
