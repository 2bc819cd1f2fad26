/** The store's door: what the manager uses of it. */
export { backUp, restore } from './backup/index.ts';
export {
  BackupUnusable,
  BlobTooLarge,
  DatabaseAway,
  DatabaseFull,
  NamespaceFull,
  PackageNotPending,
  StoreUnusable,
} from './errors.ts';
export { openBlobFolder } from './blobs/folder.ts';
export { openStore, type StoreOptions } from './open-store.ts';
export type * from './ports/audit.ts';
export type * from './ports/blobs.ts';
export type * from './ports/builds.ts';
export type * from './ports/capabilities.ts';
export type * from './ports/credentials.ts';
export type * from './ports/executors.ts';
export type * from './ports/figures.ts';
export type * from './ports/health.ts';
export type * from './ports/hosted-workers.ts';
export type * from './ports/keys.ts';
export type * from './ports/leases.ts';
export type * from './ports/logs.ts';
export type * from './ports/namespaces.ts';
export type * from './ports/packages.ts';
export type * from './ports/readable.ts';
export type * from './ports/realms.ts';
export type * from './ports/retention.ts';
export type * from './ports/sealed.ts';
export type * from './ports/store.ts';
export type * from './ports/waits.ts';
export type * from './ports/wake-ups.ts';
export type * from './ports/workers.ts';
