import { DatabaseAway, type BlobStore, type Store } from '../../store/index.ts';
import { buildFailure } from '../build-failure.ts';
import { PACKAGE_KEEP_SECONDS, REALM_KEEP_SECONDS, SWEEP_MS } from '../limits.ts';
import { endOverdueTries } from './overdue.ts';

interface SweeperDependencies {
  readonly store: Store;
  readonly blobs: BlobStore;
  /** How long nothing expires after the database was away: so long, and every manager has renewed its leases. */
  readonly leaseSeconds: number;
  /** How much longer a worker that was lost may take to come back. */
  readonly resumeSeconds: number;
  /** As `Math.random`. */
  readonly random: () => number;
  readonly logger: {
    info(fields: object, message: string): void;
    warn(fields: object, message: string): void;
  };
}

const WORKER_AWAY = buildFailure(
  'internalerror',
  'The connection to the worker was lost, and it did not come back in time.',
);
const MANAGER_GONE = buildFailure('internalerror', 'The manager that looked after the build went away.');

/**
 * Ends, now and then, what has run out: leases whose manager is gone, tries that take too long, realms nobody joined, credentials, packages of builds that
 * ended, workers of managers that vanished. Several managers may sweep at once. The lost manager is no fault of the build's:
 * such a try is not counted; one whose worker alone did not come back is.
 */
export function startSweeper({
  store,
  blobs,
  leaseSeconds,
  resumeSeconds,
  random,
  logger,
}: SweeperDependencies): {
  stop(): Promise<void>;
} {
  const sweep = async (): Promise<void> => {
    const expired = await store.leases.expireLeases({
      graceSeconds: leaseSeconds,
      resumeSeconds,
      workerAway: WORKER_AWAY,
      managerGone: MANAGER_GONE,
    });
    for (const each of expired) {
      logger.warn({ build: each.buildId, try: each.try, became: each.state }, 'the lease of a try ran out');
    }
    await endOverdueTries({ leases: store.leases, graceSeconds: leaseSeconds, random, logger });
    await store.realms.sweep();
    await store.capabilities.sweep();
    await store.workers.sweep({ unseenForSeconds: REALM_KEEP_SECONDS });
    await store.executors.sweep(REALM_KEEP_SECONDS);
    await store.namespaces.sweep();
    const condemned = await store.packages.condemn({
      pendingSeconds: PACKAGE_KEEP_SECONDS,
      endedSeconds: PACKAGE_KEEP_SECONDS,
    });
    for (const id of condemned) await blobs.delete(id);
    if (condemned.length > 0) await store.packages.forget(condemned);
    await blobs.sweep(PACKAGE_KEEP_SECONDS);
  };

  let running: Promise<void> | null = null;
  const timer = setInterval(() => {
    running ??= sweep()
      .catch((error: unknown) => {
        if (!(error instanceof DatabaseAway)) logger.warn({ err: error }, 'sweeping failed');
      })
      .finally(() => {
        running = null;
      });
  }, SWEEP_MS);
  return {
    async stop() {
      clearInterval(timer);
      await running;
    },
  };
}
