import { DatabaseAway, type LeaseStore, type WakeUps } from '../../store/index.ts';
import type { Attempt } from './attempt.ts';

interface LeaseKeeperDependencies {
  readonly leases: Pick<LeaseStore, 'renew' | 'fates'>;
  readonly wakeUps: WakeUps;
  readonly manager: string;
  readonly leaseSeconds: number;
  readonly logger: { warn(fields: object, message: string): void };
}

/**
 * Renews the leases of all tries of this manager, in one statement, three times in a lease's life, and when hints may have been missed;
 * and looks at once at those of a build that changed, so that a cancellation reaches its worker at once whichever manager took it. A build
 * changes with each of its steps: a look writes nothing, and what changes while one is under way is looked at together.
 */
export function keepLeases(
  attempts: ReadonlyMap<string, Pick<Attempt, 'lease' | 'endedElsewhere'>>,
  { leases, wakeUps, manager, leaseSeconds, logger }: LeaseKeeperDependencies,
): {
  /** Renews a lease now: it has run out, or is about to. */
  renew(token: string): void;
  stop(): void;
} {
  const follow = async (
    what: string,
    ask: () => Promise<Awaited<ReturnType<LeaseStore['fates']>>>,
  ): Promise<void> => {
    try {
      const { cancelled, lost } = await ask();
      for (const token of cancelled) attempts.get(token)?.endedElsewhere('cancelled');
      for (const token of lost) attempts.get(token)?.endedElsewhere('lost');
    } catch (error) {
      // Nothing expires while the database is away, and the next round tries again.
      if (!(error instanceof DatabaseAway)) logger.warn({ err: error }, `${what} leases failed`);
    }
  };
  const renew = async (tokens: readonly string[]): Promise<void> => {
    if (tokens.length > 0) await follow('renewing', () => leases.renew({ manager, tokens, leaseSeconds }));
  };
  const changed = new Set<string>();
  let isLooking = false;
  const lookAtChanged = async (): Promise<void> => {
    if (isLooking) return;
    isLooking = true;
    while (changed.size > 0) {
      const tokens = [...attempts]
        .filter(([, { lease }]) => changed.has(lease.buildId))
        .map(([token]) => token);
      changed.clear();
      if (tokens.length > 0) await follow('looking at', () => leases.fates({ manager, tokens }));
    }
    isLooking = false;
  };
  const timer = setInterval(() => void renew([...attempts.keys()]), (leaseSeconds * 1000) / 3);
  const unsubscribe = wakeUps.subscribe((event) => {
    if (event.type === 'resync') void renew([...attempts.keys()]);
    if (event.type !== 'build') return;
    changed.add(event.id);
    void lookAtChanged();
  });
  return {
    renew: (token) => void renew([token]),
    stop() {
      clearInterval(timer);
      unsubscribe();
    },
  };
}
