import type { Claim, HostedWorkerStore, LeaseStore } from '../../store/index.ts';
import { buildFailure } from '../build-failure.ts';
import { persist } from '../persist.ts';
import type { Slot } from '../realms/slot.ts';
import { retryDelaySeconds } from '../scheduling/backoff.ts';
import { ExtensionsMissing } from '../scheduling/extensions-missing.ts';

export interface BeginHostedDependencies {
  readonly hostedWorkers: Pick<HostedWorkerStore, 'begin'>;
  readonly leases: Pick<LeaseStore, 'giveBack'>;
  readonly manager: string;
  readonly leaseSeconds: number;
  /** As `Math.random`. */
  readonly random: () => number;
  readonly logger: { warn(fields: object, message: string): void };
  /** Aborted when the manager stops. */
  readonly signal: AbortSignal;
}

/**
 * The build that a hosted worker was started for, by whichever manager; it runs from now on. null: it has ended meanwhile, or is
 * another's, or it needs what this worker lacks, so that there is nothing for the worker to do.
 */
export async function beginHosted(
  { realm, worker, extensions }: Pick<Slot, 'realm' | 'worker' | 'extensions'>,
  { hostedWorkers, leases, manager, leaseSeconds, random, logger, signal }: BeginHostedDependencies,
): Promise<Claim | null> {
  const { id, slot } = worker;
  const claim = await persist(() => hostedWorkers.begin(realm, { manager, id, slot, leaseSeconds }), signal);
  if (claim === null) {
    logger.warn({ worker: id }, 'a hosted worker came for a build that is not there any more');
    return null;
  }
  const known: readonly string[] = extensions;
  const needed = new Set([
    ...claim.build.requiredExtensions,
    ...(claim.credentials.length > 0 ? ['registry-auth'] : []),
  ]);
  const missing = [...needed].filter((name) => !known.includes(name));
  if (missing.length === 0) return claim;
  logger.warn(
    { build: claim.build.id, try: claim.lease.try, worker: id, missing },
    "a hosted worker lacks what its build needs: say in the executors' file what that executor's workers have",
  );
  const back = {
    outcome: 'internalerror',
    error: buildFailure('internalerror', new ExtensionsMissing(missing).message),
    counted: true,
    delaySeconds: retryDelaySeconds(claim.build.triesCounted, random),
  } as const;
  await persist(() => leases.giveBack(claim.lease, back), signal);
  return null;
}
