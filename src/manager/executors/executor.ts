import type { ExtensionName } from '../../contract/extensions.ts';
import type { WorkerOffering } from '../../store/index.ts';

/**
 * What a hosted worker is started with. Realm and token are secrets: an executor hands them over in the worker's environment, and
 * they reach no log, no error, no argument of a process, no label.
 */
export interface WorkerOrder {
  /** No other worker has it: letters, digits and dashes. It is no secret. */
  readonly id: string;
  readonly realm: string;
  readonly token: string;
  /** Where the worker finds the manager: its `SERVER` (worker contract 0.3, "How a worker is started"). */
  readonly server: string;
}

/** A worker that an executor has started, until it is stopped. */
export interface StartedWorker {
  readonly id: string;
  /** `ended`: it went by itself; only `stop` makes the executor forget it. */
  readonly state: 'running' | 'ended';
  /** How it ended, for the operator, where the executor knows; null while it runs. */
  readonly reason: string | null;
}

/** What an operator says of an executor, whatever its type. */
export interface ExecutorSettings {
  /** Lower-case letters, digits and dashes. */
  readonly name: string;
  /** How many workers it runs at a time. */
  readonly capacity: number;
  /** How long a worker may take from its start to `ready`; at most 500 (worker contract 0.3, "for timing"). */
  readonly setupSeconds: number;
  /** How long a worker may live, its build included; one whose build asks for a longer `timeout` may live until that is over. */
  readonly lifetimeSeconds: number;
  /** What its workers say of themselves to builds that ask (docs/running-a-worker.md). */
  readonly labels: Readonly<Record<string, string>>;
  /** What its workers offer beyond contract 0.3: it is given builds that need no more. */
  readonly extensions: readonly ExtensionName[];
  /** The namespaces that it builds for; null for all. */
  readonly namespaces: readonly string[] | null;
  /** The manager's WAMP URL as its workers reach it, where that is not `PUBLIC_WAMP_URL`. */
  readonly server: string | null;
}

/**
 * Starts hosted workers somewhere, each for one build, and ends them. It keeps outside of this process what it has started, so that
 * it finds it again after a crash of the manager, and it knows nothing but what it has started itself. Every operation fails with an
 * {@link ExecutorError} alone. `test/manager/executors/conformance.ts` has what every implementation keeps.
 */
export interface Executor {
  readonly settings: ExecutorSettings;
  /**
   * Starts a worker and returns when it is on its way. Asking again for the same id starts no second one, also after a crash and when
   * the first has ended. Fails as `full` when its capacity is used up; after any failure, `stop` makes sure that nothing is left.
   */
  start(order: WorkerOrder): Promise<void>;
  /** Ends a worker with all it has started, and forgets it. One that is not known, or not this executor's, is no error and is left alone. */
  stop(id: string): Promise<void>;
  /** What it has started and not stopped, in any life of this manager. */
  list(): Promise<readonly StartedWorker[]>;
}

/** `full`: come again when a worker has ended. `failed`: the message says what an operator reads about it, free of secrets. */
export class ExecutorError extends Error {
  override readonly name = 'ExecutorError';
  readonly kind: 'full' | 'failed';

  constructor(kind: ExecutorError['kind'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}

/** What an executor's workers say of themselves, to whoever claims a build for them. */
export function hostedOffering({
  labels,
  extensions,
}: Pick<ExecutorSettings, 'labels' | 'extensions'>): Required<WorkerOffering> {
  return { kinds: ['image'], extensions, labels };
}
