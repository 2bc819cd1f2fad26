import { DatabaseAway, type WakeUps, type WorkerStore } from '../../store/index.ts';
import { QUEUE_POLL_MS } from '../limits.ts';

interface DrainsDependencies {
  readonly workers: Pick<WorkerStore, 'drained'>;
  readonly wakeUps: WakeUps;
  /** Called when somebody else is drained than before: who has room for builds is another question now. */
  readonly onChange: () => void;
  readonly logger: { warn(fields: object, message: string): void };
}

/** Which workers get no builds, as far as this manager has heard. */
export interface Drains {
  isDrained(workerId: string): boolean;
  stop(): void;
}

/**
 * Keeps in mind who is drained, so that the store need not be asked for a build for them: when the store says so, and on a slow poll.
 * What holds is what the store knows, which every claim looks at itself.
 */
export function startDrains({ workers, wakeUps, onChange, logger }: DrainsDependencies): Drains {
  let drained: ReadonlySet<string> = new Set();
  let asked = 0;

  const look = async (): Promise<void> => {
    const question = ++asked;
    try {
      const ids = new Set((await workers.drained()).map(({ id }) => id));
      // A later question was asked of a later state, whichever is answered first.
      if (question !== asked) return;
      const isSame = ids.size === drained.size && [...ids].every((id) => drained.has(id));
      drained = ids;
      if (!isSame) onChange();
    } catch (error) {
      if (!(error instanceof DatabaseAway)) logger.warn({ err: error }, 'looking for drained workers failed');
    }
  };

  void look();
  const poll = setInterval(() => void look(), QUEUE_POLL_MS);
  const unsubscribe = wakeUps.subscribe(({ type }) => {
    if (type === 'worker' || type === 'resync') void look();
  });
  return {
    isDrained: (workerId) => drained.has(workerId),
    stop() {
      clearInterval(poll);
      unsubscribe();
    },
  };
}
