import { startRetention } from '../retention.ts';
import { startSweeper } from '../scheduling/sweeper.ts';
import type { ManagerState } from './open-state.ts';
import type { ManagerSurroundings } from './surroundings.ts';

const DAY_SECONDS = 86_400;

/** Starts the sweeper, which sees to what ran out, and the retention, which removes what is kept no longer. */
export function startUpkeep(
  { settings, logger, starting }: ManagerSurroundings,
  { store, blobs }: Pick<ManagerState, 'store' | 'blobs'>,
): void {
  const sweeper = startSweeper({
    store,
    blobs,
    leaseSeconds: settings.LEASE_SECONDS,
    resumeSeconds: settings.RESUME_GRACE_SECONDS,
    random: Math.random,
    logger,
  });
  starting.defer(() => sweeper.stop());
  const retention = startRetention({
    retention: store.retention,
    keep: {
      buildsSeconds: settings.KEEP_BUILDS_DAYS * DAY_SECONDS,
      logsSeconds: settings.KEEP_LOGS_DAYS * DAY_SECONDS,
      logsBytes: settings.KEEP_LOGS_BYTES,
      auditSeconds: settings.KEEP_AUDIT_DAYS * DAY_SECONDS,
      auditEntries: settings.KEEP_AUDIT_ENTRIES,
    },
    logger,
  });
  starting.defer(() => retention.stop());
}
