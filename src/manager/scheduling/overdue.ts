import type { BuildFailure } from '../../contract/api.ts';
import type { LeaseStore, OverdueTry } from '../../store/index.ts';
import { buildFailure } from '../build-failure.ts';
import { retryDelaySeconds } from './backoff.ts';

export interface OverdueDependencies {
  readonly leases: Pick<LeaseStore, 'overdue' | 'finish' | 'giveBack'>;
  /** How long nothing is overdue after the database was away. */
  readonly graceSeconds: number;
  /** As `Math.random`. */
  readonly random: () => number;
  readonly logger: { warn(fields: object, message: string): void };
}

/**
 * Ends the tries whose workers should have ended them, whichever manager has them: that manager then tells its worker. A worker
 * that is to keep the limits itself has failed, and so has one that said nothing while it did not build; the build is tried again. Else the
 * build's own steps take too long or say nothing, which ends it.
 */
export async function endOverdueTries({
  leases,
  graceSeconds,
  random,
  logger,
}: OverdueDependencies): Promise<void> {
  for (const overdue of await leases.overdue(graceSeconds)) {
    const { lease, phase, isLate, workerKeepsLimits, triesCounted } = overdue;
    const isBuilds = !workerKeepsLimits && (phase === 'building' || (isLate && phase !== null));
    const error = explain(overdue, isBuilds);
    const became = isBuilds
      ? (await leases.finish(lease, { state: 'error', error })) && 'error'
      : await leases.giveBack(lease, {
          outcome: 'internalerror',
          error,
          counted: true,
          delaySeconds: retryDelaySeconds(triesCounted, random),
        });
    const fields = { build: lease.buildId, try: lease.try, phase, became };
    logger.warn(fields, isLate ? 'a try took too long' : 'nothing was heard of a try for too long');
  }
}

function explain(
  { isLate, timeoutSeconds, silenceSeconds, phase }: OverdueTry,
  isBuilds: boolean,
): BuildFailure {
  const limit = isLate ? `${timeoutSeconds} s (timeout)` : `${silenceSeconds} s (silence_timeout)`;
  if (isBuilds) {
    const what = isLate ? 'took longer than' : 'printed nothing for';
    return buildFailure('builderror', `The build ${what} ${limit}, which is its limit, and was stopped.`);
  }
  const what = isLate ? 'did not end the build within' : 'said nothing of the build for';
  const where = phase === null ? 'before it began' : `in the phase ${phase}`;
  return buildFailure('internalerror', `The worker ${what} ${limit}, ${where}.`);
}
