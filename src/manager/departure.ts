import { setTimeout as sleep } from 'node:timers/promises';
import type { Fleet } from './executors/fleet.ts';
import { STORE_WITHIN_MS } from './limits.ts';
import type { SlotConnection } from './realms/slot-connection.ts';
import type { WorkerListener } from './realms/worker-listener.ts';
import type { Scheduler } from './scheduling/scheduler.ts';

export interface DepartureDependencies {
  readonly scheduler: Pick<Scheduler, 'stop' | 'drained'>;
  readonly fleet: Pick<Fleet, 'stop'>;
  readonly listener: Pick<WorkerListener, 'letGo' | 'close'>;
  /** How long balancers may take to notice. */
  readonly delaySeconds: number;
  /** How long builds that cannot move may go on. */
  readonly withinSeconds: number;
  readonly logger: { info(fields: object, message: string): void };
  /** Aborted when what is under way is given up. */
  readonly giveUp: AbortController;
}

/**
 * Parts a manager from its workers, and resolves when none is left and all that is known of their builds is stored, or given up. Waits for
 * nobody any more once it is `hurried`.
 *
 *   announced ──delaySeconds──▶ moving ──the last build ended, or withinSeconds──▶ letting go of the rest ──▶ alone
 *
 * announced: no build is taken any more; everything else goes on.
 * moving: nobody is let in any more. Workers without a build, and those that take theirs along to another manager, are told to go; those
 * that cannot, deployed ones, when their build has ended.
 * letting go of the rest: whoever is left is told to go. Its build is given back, uncounted.
 */
export async function depart(
  { scheduler, fleet, listener, delaySeconds, withinSeconds, logger, giveUp }: DepartureDependencies,
  hurried: AbortSignal,
): Promise<void> {
  await scheduler.stop();
  // What cannot be given back, while the database is away, goes back when its lease ends.
  const noneLaunched = fleet.stop();
  await atMost(STORE_WITHIN_MS / 1000, hurried, noneLaunched);
  logger.info({ seconds: delaySeconds }, 'no more builds are taken');
  if (delaySeconds > 0) await atMost(delaySeconds, hurried);
  const letGo = (): void => listener.letGo(mustStay);
  logger.info({ seconds: withinSeconds }, 'workers are told to go to another manager');
  letGo();
  const drained = scheduler.drained(letGo);
  await atMost(withinSeconds, hurried, drained);
  const late = setTimeout(() => giveUp.abort(), STORE_WITHIN_MS);
  await listener.close();
  await Promise.all([drained, noneLaunched]);
  clearTimeout(late);
}

async function atMost(seconds: number, hurried: AbortSignal, sooner?: Promise<void>): Promise<void> {
  const over = new AbortController();
  const signal = AbortSignal.any([hurried, over.signal]);
  const time = sleep(seconds * 1000, undefined, { signal }).catch(() => undefined);
  await Promise.race(sooner ? [time, sooner] : [time]);
  over.abort();
}

/** It has a build, and no way to take it along. */
function mustStay({ lease, isCancelled, extensions }: SlotConnection): boolean {
  return lease !== null && !isCancelled && !extensions.includes('resume');
}
