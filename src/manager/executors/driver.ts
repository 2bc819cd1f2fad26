import {
  ExecutorError,
  type Executor,
  type ExecutorSettings,
  type StartedWorker,
  type WorkerOrder,
} from './executor.ts';

/** What differs between executors: how one worker is begun, ended and found. Never asked for two beginnings at once. */
export interface WorkerDriver {
  /** Begins a worker that is not there. */
  begin(order: WorkerOrder): Promise<void>;
  /** Asked again for one that is there: it may have been left half begun. */
  again(order: WorkerOrder): Promise<void>;
  end(id: string): Promise<void>;
  list(): Promise<readonly StartedWorker[]>;
}

/** The executor of a driver: it keeps capacity and order. Starts wait for each other, a stop for the start of its worker. */
export function createExecutor(settings: ExecutorSettings, driver: WorkerDriver): Executor {
  const starting = new Map<string, Promise<void>>();
  const stopping = new Map<string, Promise<void>>();
  let last: Promise<unknown> = Promise.resolve();

  const begin = async (order: WorkerOrder): Promise<void> => {
    const there = await driver.list();
    if (there.some(({ id }) => id === order.id)) return driver.again(order);
    if (there.filter(({ state }) => state === 'running').length >= settings.capacity) {
      throw new ExecutorError('full', `the executor ${settings.name} runs as many workers as it may`);
    }
    return driver.begin(order);
  };

  // Of one worker, what was asked for first is done first.
  const start = async (order: WorkerOrder): Promise<void> => {
    const before = [last, stopping.get(order.id) ?? Promise.resolve()];
    const begun = Promise.allSettled(before).then(() => begin(order));
    last = begun;
    return begun;
  };
  const stop = async (id: string): Promise<void> => {
    await starting.get(id)?.catch(() => undefined);
    await driver.end(id);
  };

  return {
    settings,
    start: (order) => once(starting, order.id, () => start(order)),
    stop: (id) => once(stopping, id, () => stop(id)),
    list: () => driver.list(),
  };
}

/** Does something once at a time for a key: who asks meanwhile gets the same answer. */
function once(underWay: Map<string, Promise<void>>, key: string, work: () => Promise<void>): Promise<void> {
  const present = underWay.get(key);
  if (present) return present;
  const done = work().finally(() => underWay.delete(key));
  underWay.set(key, done);
  return done;
}
