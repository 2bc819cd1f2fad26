import { DatabaseAway, type ExecutorStore } from '../../store/index.ts';
import { hostedOffering, type Executor } from './executor.ts';
import { ANNOUNCE_MS } from './limits.ts';

export interface AnnounceDependencies {
  readonly store: Pick<ExecutorStore, 'put'>;
  readonly manager: string;
  readonly executors: readonly Executor[];
  readonly logger: { warn(fields: object, message: string): void };
}

/** Lets all managers know what this one can start workers with, until it is stopped. */
export function announceExecutors({ store, manager, executors, logger }: AnnounceDependencies): {
  stop(): Promise<void>;
} {
  const rows = executors.map(({ settings }) => ({
    ...hostedOffering(settings),
    name: settings.name,
    namespaces: settings.namespaces,
  }));
  let writing: Promise<void> = Promise.resolve();
  const write = (which: typeof rows): Promise<void> => {
    writing = writing
      .then(() => store.put(manager, which))
      .catch((error: unknown) => {
        if (!(error instanceof DatabaseAway)) logger.warn({ err: error }, 'announcing the executors failed');
      });
    return writing;
  };
  void write(rows);
  const timer = setInterval(() => void write(rows), ANNOUNCE_MS);
  return {
    async stop() {
      clearInterval(timer);
      await write([]);
    },
  };
}
