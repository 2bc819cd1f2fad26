import {
  DatabaseAway,
  type Claim,
  type GiveBack,
  type HostedWorkerRow,
  type HostedWorkerStore,
} from '../../store/index.ts';
import { buildFailure } from '../build-failure.ts';
import { persist } from '../persist.ts';
import { ExecutorError, type Executor } from './executor.ts';
import { startLaunch, type Launch, type LaunchDependencies, type LaunchEnd } from './launch.ts';
import { HOLD_FIRST_MS, HOLD_LONGEST_MS, LEAVE_SECONDS, LOOK_MS, LOOK_STARTING_MS } from './limits.ts';

export interface FleetDependencies extends Omit<LaunchDependencies, 'hostedWorkers' | 'server' | 'onEnd'> {
  /** In their order of fallback. */
  readonly executors: readonly Executor[];
  readonly hostedWorkers: Omit<HostedWorkerStore, 'begin'>;
  /** Called with what became of each launch, and how long after it began, for the metrics. */
  readonly onLaunchEnd: (executor: string, end: LaunchEnd, seconds: number) => void;
  readonly now: () => number;
}

/** The hosted workers of this manager: starts them, and ends those that nobody wants any more. */
export interface Fleet {
  /**
   * Gives back what an earlier life of this manager had on its way, and looks after its executors from now on. `server`: where
   * workers find the manager. `onRoom` is called when an executor has room again.
   */
  open(server: string, onRoom: () => void): void;
  /** The executors that would take a build now, in their order. */
  rooms(): readonly Executor[];
  /** How each executor does, for the metrics. */
  posts(): readonly PostReport[];
  /** Starts a worker for a build that is `starting`. */
  launch(executor: Executor, claim: Claim): Launch;
  /** A hosted worker has answered, and is about to leave. */
  answered(): void;
  /** Gives back the builds whose workers are on their way, and ends those. Workers that build are left to themselves. */
  stop(): Promise<void>;
}

interface PostReport {
  readonly executor: string;
  /** Workers that it runs or starts, as far as is known. */
  readonly workers: number;
  readonly capacity: number;
  /** Whether it answers, and is not left alone for a while. */
  readonly isUp: boolean;
}

/** What is known of an executor. */
interface Post {
  readonly executor: Executor;
  readonly launches: Map<string, Launch>;
  /** The workers that it ran when it was asked last; null while it does not say. */
  running: readonly string[] | null;
  /** Launches that failed since one succeeded. */
  failures: number;
  heldUntil: number;
  lookedAt: number;
  /** Whether a worker of it is about to leave. */
  leaving: boolean;
  looking: Promise<void> | null;
}

/** Whether it builds, and some manager has its connection as far as is known. */
function isHeard(row: HostedWorkerRow | undefined): boolean {
  return row !== undefined && !row.isAwaited && !row.isAway && !row.isOver;
}

/** Nobody comes back with a try whose worker has ended. */
function workerEnded(executor: string, reason: string | null): GiveBack {
  const words = `The worker that the executor ${executor} had started ended before its build: ${reason ?? 'it is not known how'}.`;
  return { outcome: 'lost', error: buildFailure('internalerror', words), counted: true, delaySeconds: 0 };
}

export function createFleet(dependencies: FleetDependencies): Fleet {
  const { executors, hostedWorkers, leases, manager, logger, signal, now, onLaunchEnd } = dependencies;
  const posts = executors.map((executor): Post => ({
    executor,
    launches: new Map(),
    running: null,
    failures: 0,
    heldUntil: 0,
    lookedAt: Number.NEGATIVE_INFINITY,
    leaving: false,
    looking: null,
  }));
  let server = '';
  let stopped = false;
  let onRoom = (): void => undefined;
  let timer: NodeJS.Timeout | undefined;

  const hasRoom = ({ executor, running, launches, heldUntil }: Post): boolean =>
    !stopped &&
    // The order of fallback holds when all have been asked.
    posts.every(({ lookedAt }) => lookedAt > Number.NEGATIVE_INFINITY) &&
    running !== null &&
    heldUntil <= now() &&
    new Set([...running, ...launches.keys()]).size < executor.settings.capacity;

  /** What an earlier life claimed and nobody waits for now. */
  const recover = async (): Promise<void> => {
    const rows = await persist(() => hostedWorkers.list(manager, LEAVE_SECONDS), signal);
    const known = new Set(executors.map(({ settings }) => settings.name));
    const left = rows.filter((row) => !known.has(row.executor));
    for (const name of new Set(left.map((row) => row.executor))) {
      const workers = left.filter((row) => row.executor === name).map(({ id }) => id);
      logger.warn(
        { executor: name, workers },
        'workers of an executor that is not in the file any more are not looked after: put it back until they have gone, or end them',
      );
    }
    for (const { id, lease, isAwaited } of rows) {
      if (!isAwaited || !(await persist(() => hostedWorkers.withdraw(id), signal))) continue;
      const back = { outcome: 'lost', counted: false, delaySeconds: 0 } as const;
      await persist(() => leases.giveBack(lease, back), signal);
      logger.warn(
        { build: lease.buildId, try: lease.try, worker: id },
        'a launch of an earlier life is over',
      );
    }
  };

  /** Ends what nobody wants, and learns how much room there is. */
  const look = async (post: Post): Promise<void> => {
    const { executor, launches } = post;
    const { name } = executor.settings;
    // First the workers, then the rows: whoever starts meanwhile has a row before.
    const workers = await executor.list();
    const rows = (await hostedWorkers.list(manager, LEAVE_SECONDS)).filter((row) => row.executor === name);
    post.leaving = rows.some(({ isOver, isAway }) => isOver || isAway);
    const rowOf = new Map(rows.map((row) => [row.id, row]));
    const wanted = new Set(rows.filter(({ isWanted }) => isWanted).map(({ id }) => id));
    const discarded = workers.filter(({ id, state, reason }) => {
      if (state === 'ended') launches.get(id)?.workerEnded(reason ?? '');
      // A launch sees to its own.
      if (launches.has(id)) return false;
      if (!wanted.has(id)) return true;
      if (state === 'running') return false;
      // What it said last may be on its way: whoever has its connection knows first what becomes of its try.
      const isConnected = isHeard(rowOf.get(id));
      post.leaving ||= isConnected;
      return !isConnected;
    });
    await Promise.all(
      discarded.map(async ({ id, state, reason }) => {
        const row = rowOf.get(id);
        const fields = row ? { build: row.lease.buildId, try: row.lease.try } : {};
        logger.info({ ...fields, executor: name, worker: id, state, reason }, 'ending a hosted worker');
        if (row?.isAway && state === 'ended') await leases.giveBack(row.lease, workerEnded(name, reason));
        await executor.stop(id);
        await hostedWorkers.remove(id);
      }),
    );
    const present = new Set(workers.map(({ id }) => id));
    for (const { id } of rows) {
      if (!wanted.has(id) && !present.has(id) && !launches.has(id)) await hostedWorkers.remove(id);
    }
    const gone = new Set(discarded.map(({ id }) => id));
    post.running = workers.flatMap(({ id, state }) => (state === 'running' && !gone.has(id) ? [id] : []));
  };

  const lookSoon = (post: Post): void => {
    const had = hasRoom(post);
    let isKnown = true;
    post.looking ??= look(post)
      .catch((error: unknown) => {
        if (error instanceof DatabaseAway) {
          isKnown = false;
          return;
        }
        if (!(error instanceof ExecutorError))
          logger.warn({ err: error }, 'looking after hosted workers failed');
        else if (post.running !== null || post.lookedAt === Number.NEGATIVE_INFINITY)
          logger.warn({ reason: error.message }, 'an executor does not answer');
        post.running = null;
      })
      .finally(() => {
        // One that could not be looked at yet has not been asked: the next in the order waits for it.
        if (isKnown || post.lookedAt > Number.NEGATIVE_INFINITY) post.lookedAt = now();
        post.looking = null;
        if (!had && posts.some(hasRoom)) onRoom();
      });
  };

  const lookAround = (): void => {
    for (const post of posts) {
      const every = post.leaving || post.launches.size > 0 ? LOOK_STARTING_MS : LOOK_MS;
      if (now() - post.lookedAt >= every) lookSoon(post);
      if (post.heldUntil !== 0 && post.heldUntil <= now()) {
        post.heldUntil = 0;
        onRoom();
      }
    }
  };

  /** Leaves an executor alone that brings no workers, so that others are taken, or builds wait. */
  const judge = (post: Post, end: LaunchEnd): void => {
    if (end === 'came') post.failures = 0;
    if (end === 'full') post.running = null;
    if (end === 'failed') {
      post.failures += 1;
      post.heldUntil = now() + Math.min(HOLD_FIRST_MS * 2 ** (post.failures - 1), HOLD_LONGEST_MS);
    }
  };

  return {
    open(publicServer, callOnRoom) {
      server = publicServer;
      onRoom = callOnRoom;
      if (posts.length === 0) return;
      void recover()
        .catch((error: unknown) => logger.warn({ err: error }, 'finding what was on its way failed'))
        .then(() => {
          if (stopped) return;
          lookAround();
          timer = setInterval(lookAround, LOOK_STARTING_MS);
        });
    },
    rooms: () => posts.filter(hasRoom).map(({ executor }) => executor),
    posts: () =>
      posts.map(({ executor, running, launches, heldUntil }) => ({
        executor: executor.settings.name,
        workers: new Set([...(running ?? []), ...launches.keys()]).size,
        capacity: executor.settings.capacity,
        isUp: running !== null && heldUntil <= now(),
      })),
    launch(executor, claim) {
      const post = posts.find((each) => each.executor === executor);
      if (!post) throw new Error(`the executor ${executor.settings.name} is not of this fleet`);
      const began = now();
      const launch = startLaunch(executor, claim, {
        ...dependencies,
        server,
        onEnd: (end) => judge(post, end),
      });
      const { workerId } = launch;
      post.launches.set(workerId, launch);
      void launch.done.then((end) => {
        post.launches.delete(workerId);
        if (end === 'came') post.running = post.running && [...post.running, workerId];
        onLaunchEnd(executor.settings.name, end, (now() - began) / 1000);
      });
      return launch;
    },
    answered() {
      for (const post of posts) post.leaving = true;
    },
    async stop() {
      stopped = true;
      clearInterval(timer);
      const launches = posts.flatMap((post) => [...post.launches.values()]);
      for (const launch of launches) launch.stop();
      await Promise.all(launches.map(({ done }) => done));
      for (const { looking } of posts) await looking;
    },
  };
}
