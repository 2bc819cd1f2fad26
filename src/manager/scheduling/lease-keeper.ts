import { DatabaseAway, type LeaseStore, type WakeUps } from '../../store/index.ts';
import type { Attempt } from './attempt.ts';

interface LeaseKeeperDependencies {
  readonly leases: Pick<LeaseStore, 'renew'>;
  readonly wakeUps: WakeUps;
  readonly manager: string;
  readonly leaseSeconds: number;
  readonly logger: { warn(fields: object, message: string): void };
}

/**
 * Renews the leases of all tries of this manager, in one statement, three times in a lease's life; and asks at once about a
 * build that changed, or about all when such a hint may have been missed, so that a cancellation reaches its worker at once
 * whichever manager took it.
 */
export function keepLeases(
  attempts: ReadonlyMap<string, Pick<Attempt, 'lease' | 'endedElsewhere'>>,
  { leases, wakeUps, manager, leaseSeconds, logger }: LeaseKeeperDependencies,
): {
  /** Renews a lease now: it has run out, or is about to. */
  renew(token: string): void;
  stop(): void;
} {
  const renew = async (tokens: readonly string[]): Promise<void> => {
    if (tokens.length === 0) return;
    try {
      const { cancelled, lost } = await leases.renew({ manager, tokens, leaseSeconds });
      for (const token of cancelled) attempts.get(token)?.endedElsewhere('cancelled');
      for (const token of lost) attempts.get(token)?.endedElsewhere('lost');
    } catch (error) {
      // Nothing expires while the database is away, and the next round tries again.
      if (!(error instanceof DatabaseAway)) logger.warn({ err: error }, 'renewing leases failed');
    }
  };
  const timer = setInterval(() => void renew([...attempts.keys()]), (leaseSeconds * 1000) / 3);
  const unsubscribe = wakeUps.subscribe((event) => {
    if (event.type === 'resync') void renew([...attempts.keys()]);
    if (event.type !== 'build') return;
    const tokens = [...attempts]
      .filter(([, attempt]) => attempt.lease.buildId === event.id)
      .map(([token]) => token);
    void renew(tokens);
  });
  return {
    renew: (token) => void renew([token]),
    stop() {
      clearInterval(timer);
      unsubscribe();
    },
  };
}
