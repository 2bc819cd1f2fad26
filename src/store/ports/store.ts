import type { AuditStore } from './audit.ts';
import type { BuildStore } from './builds.ts';
import type { CapabilityStore } from './capabilities.ts';
import type { CredentialStore } from './credentials.ts';
import type { ExecutorStore } from './executors.ts';
import type { FigureStore } from './figures.ts';
import type { Health } from './health.ts';
import type { HostedWorkerStore } from './hosted-workers.ts';
import type { KeyStore } from './keys.ts';
import type { LeaseStore } from './leases.ts';
import type { LogStore } from './logs.ts';
import type { NamespaceStore } from './namespaces.ts';
import type { PackageStore } from './packages.ts';
import type { ReadableStore } from './readable.ts';
import type { RealmStore } from './realms.ts';
import type { RetentionStore } from './retention.ts';
import type { SealedStore } from './sealed.ts';
import type { WaitStore } from './waits.ts';
import type { WakeUps } from './wake-ups.ts';
import type { WorkerStore } from './workers.ts';

/** All that managers share, in one PostgreSQL. */
export interface Store {
  readonly audit: AuditStore;
  readonly builds: BuildStore;
  readonly leases: LeaseStore;
  readonly logs: LogStore;
  readonly realms: RealmStore;
  readonly workers: WorkerStore;
  readonly executors: ExecutorStore;
  readonly hostedWorkers: HostedWorkerStore;
  readonly capabilities: CapabilityStore;
  readonly credentials: CredentialStore;
  readonly readable: ReadableStore;
  readonly sealed: SealedStore;
  readonly namespaces: NamespaceStore;
  readonly waits: WaitStore;
  readonly packages: PackageStore;
  readonly keys: KeyStore;
  readonly retention: RetentionStore;
  readonly wakeUps: WakeUps;
  readonly figures: FigureStore;
  readonly health: Health;
  /** Ends the connections, and the server when it is ours, after what is under way. */
  close(): Promise<void>;
}
