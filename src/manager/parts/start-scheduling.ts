import { join } from 'node:path';
import { announceExecutors } from '../executors/announce.ts';
import type { ExecutorEntry } from '../executors/executors-file.ts';
import { createFleet, type Fleet } from '../executors/fleet.ts';
import { LEAVE_WITHIN_MS } from '../executors/limits.ts';
import { openExecutor } from '../executors/open-executor.ts';
import { CACHE_TAG_WITHIN_MS } from '../limits.ts';
import { startDrains } from '../realms/drains.ts';
import { startRoster, type Roster } from '../realms/roster.ts';
import { everyOf } from '../registry/scopes.ts';
import { findCacheTag } from '../scheduling/cache-tag.ts';
import { buildSecrets, cacheAccess, prepareHandOver } from '../scheduling/hand-over.ts';
import { startScheduler, type Scheduler } from '../scheduling/scheduler.ts';
import type { Registries } from './open-registries.ts';
import type { ManagerState } from './open-state.ts';
import type { ManagerSurroundings } from './surroundings.ts';

export interface SchedulingDependencies {
  readonly state: Pick<ManagerState, 'store' | 'box'>;
  readonly registries: Registries;
  /** In the order in which they are asked. */
  readonly executorEntries: readonly ExecutorEntry[];
  /** What executors start as a process. */
  readonly workerProgram: string;
  /** Where engines and workers reach the API, without a slash at its end. */
  readonly publicUrl: string;
  /** Aborted when what is under way is given up. */
  readonly signal: AbortSignal;
}

/** What gives builds to workers, and knows who they are. */
export interface Scheduling {
  readonly roster: Roster;
  readonly fleet: Fleet;
  readonly scheduler: Scheduler;
}

/**
 * Starts what gives builds to workers, those of executors included.
 *
 * @throws ExecutorError where the machine lacks what an executor needs.
 */
export async function startScheduling(
  surroundings: ManagerSurroundings,
  dependencies: SchedulingDependencies,
): Promise<Scheduling> {
  const { settings, manager, logger, now, starting } = surroundings;
  const { registries, publicUrl, signal } = dependencies;
  const { store, box } = dependencies.state;
  const tryLimits = {
    timeout: Math.min(settings.BUILD_TIMEOUT_SECONDS, settings.BUILD_TIMEOUT_MAX_SECONDS),
    silence: Math.min(settings.BUILD_SILENCE_SECONDS, settings.BUILD_TIMEOUT_MAX_SECONDS),
    most: settings.BUILD_TIMEOUT_MAX_SECONDS,
  };
  const roster = startRoster({
    workers: store.workers,
    realms: store.realms,
    wakeUps: store.wakeUps,
    manager,
    heartbeatTimeoutSeconds: settings.HEARTBEAT_TIMEOUT_SECONDS,
    logger,
    now,
  });
  starting.defer(() => roster.stop());
  const fleet = await startFleet(surroundings, dependencies);
  const handOver = {
    capabilities: store.capabilities,
    leases: store.leases,
    readable: store.readable,
    publicRepositories: settings.PUBLIC_NAMESPACES.map(everyOf),
    box,
    registryAccess: registries.access,
    publicUrl,
    tryLimits,
    resumeGraceSeconds: settings.RESUME_GRACE_SECONDS,
  };
  const drains = startDrains({
    workers: store.workers,
    wakeUps: store.wakeUps,
    onChange: () => scheduler.drainsChanged(),
    logger,
  });
  starting.defer(() => drains.stop());
  const scheduler: Scheduler = startScheduler({
    fleet,
    leases: store.leases,
    logs: store.logs,
    logMaxBytes: settings.TRY_LOG_MAX_BYTES,
    wakeUps: store.wakeUps,
    manager,
    leaseSeconds: settings.LEASE_SECONDS,
    defaultMaxRunning: settings.NAMESPACE_MAX_RUNNING,
    prepare: (claim, slot) => prepareHandOver(claim, slot.extensions, handOver),
    secretsOf: (claim) => buildSecrets(claim, handOver),
    cacheTag: (claim) =>
      findCacheTag(claim, {
        builds: store.builds,
        registries: registries.client,
        accessOf: (each) => cacheAccess(each, handOver, registries.tokenServer),
        withinMs: CACHE_TAG_WITHIN_MS,
        logger,
      }),
    isDrained: ({ worker }) => drains.isDrained(worker.id),
    onSlotBusy: (slot, lease) => roster.busy(slot, lease),
    workerStopSeconds: settings.WORKER_STOP_SECONDS,
    logger,
    now,
    random: Math.random,
    signal,
  });
  starting.defer(async () => {
    await scheduler.stop();
    await scheduler.drained();
  });
  return { roster, fleet, scheduler };
}

async function startFleet(
  { manager, dataDirectory, metrics, logger, now, starting }: ManagerSurroundings,
  { state: { store }, executorEntries, workerProgram, signal }: SchedulingDependencies,
): Promise<Fleet> {
  const executors = await Promise.all(
    executorEntries.map((entry) =>
      openExecutor(entry, {
        manager,
        directory: join(dataDirectory, `executors-${manager}`),
        program: workerProgram,
        leaveWithinMs: LEAVE_WITHIN_MS,
      }),
    ),
  );
  const announced = announceExecutors({ store: store.executors, manager, executors, logger });
  starting.defer(() => announced.stop());
  const fleet = createFleet({
    executors,
    hostedWorkers: store.hostedWorkers,
    leases: store.leases,
    manager,
    onLaunchEnd: (executor, end, seconds) => {
      metrics.executorLaunches.inc({ executor, end });
      if (end === 'came') metrics.executorSetup.observe({ executor }, seconds);
    },
    logger,
    now,
    signal,
  });
  starting.defer(() => fleet.stop());
  return fleet;
}
