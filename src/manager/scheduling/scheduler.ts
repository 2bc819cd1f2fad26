import {
  DatabaseAway,
  type Claim,
  type ClaimRequest,
  type Lease,
  type LeaseStore,
  type ResumedTry,
  type WakeUps,
  type WorkerOffering,
} from '../../store/index.ts';
import { hostedOffering, type ExecutorSettings } from '../executors/executor.ts';
import type { Fleet } from '../executors/fleet.ts';
import type { Launch } from '../executors/launch.ts';
import { QUEUE_POLL_MS } from '../limits.ts';
import type { Slot } from '../realms/slot.ts';
import { resumeAttempt, startAttempt, type Attempt, type AttemptDependencies } from './attempt.ts';
import { keepLeases } from './lease-keeper.ts';
import { createReadySlots } from './ready-slots.ts';

export interface SchedulerDependencies extends Omit<AttemptDependencies, 'lossCounts'> {
  readonly leases: LeaseStore;
  readonly wakeUps: WakeUps;
  readonly manager: string;
  readonly leaseSeconds: number;
  /** How many builds of a namespace may run that has no limit of its own; null for any number. */
  readonly defaultMaxRunning: number | null;
  /** Starts hosted workers for what no slot takes. */
  readonly fleet: Pick<Fleet, 'rooms' | 'launch' | 'answered'>;
  /** Whether the worker of a slot gets no builds. */
  readonly isDrained: (slot: Slot) => boolean;
  /** Called when a slot takes a build and when it is free again (null). */
  readonly onSlotBusy: (slot: Slot, lease: Lease | null) => void;
}

/** Gives waiting builds to ready slots, and what no slot takes to hosted workers that are started for it. */
export interface Scheduler {
  slotReady(slot: Slot): void;
  /** A slot came back with the build that it was given; it gets no other. */
  slotResumed(slot: Slot, resumed: ResumedTry): void;
  slotGone(slot: Slot): void;
  /** A hosted worker is there, and this is the build it was started for: `running` already. */
  hostedReady(slot: Slot, claim: Claim): void;
  /** Looks for builds: somebody has room. */
  wake(): void;
  /** Other workers are drained than before. */
  drainsChanged(): void;
  /** Takes no more builds, and resolves when no claim is under way. Tries go on until the manager's signal. */
  stop(): Promise<void>;
  /** Resolves when no try is left, after `onEnd` for each; no lease is renewed any more. */
  drained(onEnd?: () => void): Promise<void>;
}

/**
 * Claims builds whenever there may be one for somebody: when the store says so, when a slot becomes ready, and on a slow poll.
 * One claim at a time: it takes a millisecond, and slots that are alike need not ask the same question twice.
 */
export function startScheduler(dependencies: SchedulerDependencies): Scheduler {
  const { leases, wakeUps, manager, leaseSeconds, defaultMaxRunning, fleet, logger } = dependencies;
  const { isDrained, onSlotBusy } = dependencies;
  const ready = createReadySlots();
  /** Slots that could have a build, but for their worker being drained. */
  const resting = new Set<Slot>();
  const gone = new WeakSet<Slot>();
  const attempts = new Map<string, Attempt | Launch>();
  const launches = new Map<string, Launch>();
  const keeper = keepLeases(attempts, dependencies);
  let stopped = false;
  let wanted = false;
  let passing: Promise<void> | null = null;

  /** Starts a pass, or has the one that runs followed by another. */
  const wake = (): void => {
    wanted = !stopped;
    passing ??= passes().finally(() => {
      passing = null;
      // Woken after the last look, and before this.
      if (wanted) wake();
    });
  };

  const passes = async (): Promise<void> => {
    while (takeWanted()) {
      try {
        await claimForAll();
        await claimForExecutors();
      } catch (error) {
        // The poll comes back to it.
        if (!(error instanceof DatabaseAway)) logger.warn({ err: error }, 'looking for a build failed');
      }
    }
  };

  const takeWanted = (): boolean => {
    const was = wanted;
    wanted = false;
    return was;
  };

  const offer = (slot: Slot): void => {
    if (isDrained(slot)) resting.add(slot);
    else ready.add(slot);
  };

  /** Asks once for every sort of slot, until there is nothing for that sort. */
  const claimForAll = async (): Promise<void> => {
    const nothingFor = new Set<string>();
    while (!stopped) {
      const asking = ready.ask(nothingFor);
      if (asking === null) return;
      const claim = await leases.claim({ ...asking.request, manager, leaseSeconds, defaultMaxRunning });
      if (claim === null) {
        nothingFor.add(asking.sort);
        // Where many sorts are ready, they are not all asked about an empty queue.
        if (ready.ask(nothingFor) !== null && !(await leases.anyClaimable())) return;
        continue;
      }
      give(claim, asking.slotOf(claim.realm));
    }
  };

  /** Has a ready slot run the build that was claimed for it. */
  const give = (claim: Claim, slot: Slot): void => {
    ready.delete(slot);
    run(claim, slot, () => {
      if (!gone.has(slot)) offer(slot);
    });
  };

  /**
   * In the executors' order: the next is asked when the ones before have no room, or may not have what waits. Of those that are alike
   * one is asked: what is submitted after that is for the first of them again, in the next pass. What is submitted after the slots
   * were asked is a slot's all the same.
   */
  const claimForExecutors = async (): Promise<void> => {
    const nothingFor = new Set<string>();
    while (!stopped) {
      const executor = fleet.rooms().find(({ settings }) => !nothingFor.has(sortOf(settings)));
      if (executor === undefined) return;
      const slots = ready.beforeOthers();
      const claim = await leases.claim({
        manager,
        worker: null,
        ...slots.request,
        ...asks(executor.settings),
        leaseSeconds,
        defaultMaxRunning,
      });
      if (claim === null) nothingFor.add(sortOf(executor.settings));
      else if (claim.realm === null) launch(executor, claim);
      else give(claim, slots.slotOf(claim.realm));
    }
  };

  const launch = (...[executor, claim]: Parameters<Fleet['launch']>): void => {
    const { token } = claim.lease;
    const launched = fleet.launch(executor, claim);
    attempts.set(token, launched);
    launches.set(token, launched);
    void launched.done.then(() => {
      launches.delete(token);
      if (attempts.get(token) === launched) attempts.delete(token);
      wake();
    });
  };

  /** Has a slot run a build that was claimed for it. */
  const run = (claim: Claim, slot: Slot, onFree: () => void): void => {
    const { token } = claim.lease;
    const attempt = startAttempt(claim, slot, { ...dependencies, lossCounts: () => !stopped });
    attempts.set(token, attempt);
    onSlotBusy(slot, claim.lease);
    void attempt.done.then(() => {
      attempts.delete(token);
      onSlotBusy(slot, null);
      onFree();
      wake();
    });
  };

  const unsubscribe = wakeUps.subscribe((event) => {
    if (event.type === 'queue' || event.type === 'resync') wake();
  });
  const poll = setInterval(wake, QUEUE_POLL_MS);

  return {
    slotReady(slot) {
      offer(slot);
      wake();
    },
    hostedReady(slot, claim) {
      launches.get(claim.lease.token)?.came();
      run(claim, slot, () => fleet.answered());
    },
    wake,
    drainsChanged() {
      const rested = [...resting];
      resting.clear();
      for (const slot of ready.all().filter(isDrained)) {
        ready.delete(slot);
        resting.add(slot);
      }
      for (const slot of rested) offer(slot);
      wake();
    },
    slotResumed(slot, resumed) {
      const { token } = resumed.lease;
      const attempt = resumeAttempt(resumed, slot, { ...dependencies, lossCounts: () => !stopped });
      attempts.set(token, attempt);
      onSlotBusy(slot, resumed.lease);
      keeper.renew(token);
      void attempt.done.then(() => {
        attempts.delete(token);
        onSlotBusy(slot, null);
        fleet.answered();
      });
    },
    slotGone(slot) {
      gone.add(slot);
      ready.delete(slot);
      resting.delete(slot);
    },
    async stop() {
      stopped = true;
      wanted = false;
      clearInterval(poll);
      unsubscribe();
      await passing;
    },
    async drained(onEnd) {
      await Promise.all([...attempts.values()].map(({ done }) => done.then(onEnd)));
      keeper.stop();
    },
  };
}

/** What a claim says of an executor. */
function asks(settings: ExecutorSettings): Required<WorkerOffering> & Pick<ClaimRequest, 'namespaces'> {
  return { ...hostedOffering(settings), namespaces: settings.namespaces };
}

/** The same for executors that may have the same builds. */
function sortOf(settings: ExecutorSettings): string {
  const { labels, ...rest } = asks(settings);
  return JSON.stringify([Object.entries(labels).sort(), rest]);
}
