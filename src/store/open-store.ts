import type { Logger } from 'pino';
import { createAuditStore } from './audit.ts';
import { createBuildStore } from './builds.ts';
import { createCapabilityStore } from './capabilities.ts';
import { createCredentialStore } from './credentials.ts';
import { openDatabase, type Address } from './database.ts';
import { startEmbeddedServer, type EmbeddedServer } from './embedded/server.ts';
import { createExecutorStore } from './executors.ts';
import { createFigureStore } from './figures.ts';
import { createHealth, createHealthMonitor } from './health.ts';
import { createHostedWorkerStore } from './hosted-workers.ts';
import { createKeyStore } from './keys.ts';
import { createLeaseStore } from './leases.ts';
import { createLogStore } from './logs.ts';
import { loadMigrations, migrate } from './migrations.ts';
import { createNamespaceStore } from './namespaces.ts';
import { createPackageStore } from './packages.ts';
import type { BlobStore } from './ports/blobs.ts';
import type { StatementObserver } from './ports/health.ts';
import type { Store } from './ports/store.ts';
import { createReadableStore } from './readable.ts';
import { createRealmStore } from './realms.ts';
import { createRetentionStore } from './retention.ts';
import { createSealedStore } from './sealed.ts';
import { statement } from './statements.ts';
import { listen } from './wake-ups.ts';
import { createWaitStore } from './waits.ts';
import { createWorkerStore } from './workers.ts';

export interface StoreOptions {
  /** A server of the user's own, `postgresql://…`; without it one is started in the data folder. */
  readonly databaseUrl?: string | undefined;
  readonly dataDirectory: string;
  /** Where finished logs lie. */
  readonly blobs: BlobStore;
  readonly log: Logger;
  readonly now?: () => Date;
  readonly onStatement?: StatementObserver;
}

const ping = statement<[]>('ping');

/** Opens the store: the server, where it is ours, the schema, the connections. Fails with {@link StoreUnusable} or what the server says. */
export async function openStore(options: StoreOptions): Promise<Store> {
  const { databaseUrl, dataDirectory, log } = options;
  if (databaseUrl !== undefined) return connect({ connectionString: databaseUrl }, null, options);
  const server = await startEmbeddedServer({ dataDirectory, log });
  try {
    return await connect(server.address, server, options);
  } catch (error) {
    await server.stop();
    throw error;
  }
}

async function connect(
  address: Address,
  server: EmbeddedServer | null,
  { blobs, log, now = () => new Date(), onStatement }: StoreOptions,
): Promise<Store> {
  await migrate(address, loadMigrations());
  const monitor = createHealthMonitor(now);
  const database = openDatabase(address, monitor, log, onStatement);
  const wakeUps = listen(address, monitor, log);
  server?.subscribe(({ type }) => {
    if (type === 'down') monitor.lost();
  });
  return {
    audit: createAuditStore(database),
    builds: createBuildStore(database),
    leases: createLeaseStore(database, monitor, now),
    logs: createLogStore(database, blobs),
    retention: createRetentionStore(database, blobs),
    realms: createRealmStore(database),
    workers: createWorkerStore(database),
    executors: createExecutorStore(database),
    hostedWorkers: createHostedWorkerStore(database),
    capabilities: createCapabilityStore(database),
    credentials: createCredentialStore(database),
    readable: createReadableStore(database),
    sealed: createSealedStore(database),
    namespaces: createNamespaceStore(database),
    waits: createWaitStore(database),
    packages: createPackageStore(database),
    keys: createKeyStore(database),
    wakeUps,
    figures: createFigureStore(database),
    health: createHealth(monitor, () => database.run(ping, []), database.connections),
    async close() {
      await wakeUps.close();
      await database.close();
      await server?.stop();
    },
  };
}
