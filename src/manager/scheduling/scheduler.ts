import { DatabaseAway, type LeaseStore, type WakeUps } from '../../store/index.ts';
import { QUEUE_POLL_MS } from '../limits.ts';
import type { Slot } from '../realms/slot.ts';
import { startAttempt, type Attempt, type AttemptDependencies } from './attempt.ts';
import { keepLeases } from './lease-keeper.ts';

export interface SchedulerDependencies extends Omit<AttemptDependencies, 'lossCounts'> {
  readonly leases: LeaseStore;
  readonly wakeUps: WakeUps;
  readonly manager: string;
  readonly leaseSeconds: number;
  /** Called when a slot takes a build (its id) and when it is free again (null). */
  readonly onSlotBusy: (slot: Slot, buildId: string | null) => void;
}

/** Gives waiting builds to ready slots. */
export interface Scheduler {
  slotReady(slot: Slot): void;
  slotGone(slot: Slot): void;
  /** Takes no more builds, and resolves when no claim is under way. Tries go on until the manager's signal. */
  stop(): Promise<void>;
  /** Resolves when no try is left; no lease is renewed any more. */
  drained(): Promise<void>;
}

/**
 * Claims builds whenever there may be one for somebody: when the store says so, when a slot becomes ready, and on a slow poll.
 * One claim at a time: it takes a millisecond, and slots that are alike need not ask the same question twice.
 */
export function startScheduler(dependencies: SchedulerDependencies): Scheduler {
  const { leases, wakeUps, manager, leaseSeconds, logger, onSlotBusy } = dependencies;
  const ready = new Set<Slot>();
  const gone = new WeakSet<Slot>();
  const attempts = new Map<string, Attempt>();
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

  /** Asks once for every sort of slot, until there is nothing for that sort. */
  const claimForAll = async (): Promise<void> => {
    const nothingFor = new Set<string>();
    for (const slot of ready) {
      const sort = JSON.stringify([slot.worker.kinds, slot.extensions]);
      if (stopped || nothingFor.has(sort)) continue;
      const claim = await leases.claim({
        manager,
        worker: { id: slot.worker.id, slot: slot.worker.slot, realm: slot.realm },
        kinds: slot.worker.kinds,
        extensions: slot.extensions,
        leaseSeconds,
      });
      if (claim === null) {
        nothingFor.add(sort);
        continue;
      }
      const attempt = startAttempt(claim, slot, { ...dependencies, lossCounts: () => !stopped });
      attempts.set(claim.lease.token, attempt);
      onSlotBusy(slot, claim.build.id);
      ready.delete(slot);
      void attempt.done.then(() => {
        attempts.delete(claim.lease.token);
        onSlotBusy(slot, null);
        if (!gone.has(slot)) ready.add(slot);
        wake();
      });
    }
  };

  const unsubscribe = wakeUps.subscribe((event) => {
    if (event.type === 'queue' || event.type === 'resync') wake();
  });
  const poll = setInterval(wake, QUEUE_POLL_MS);

  return {
    slotReady(slot) {
      ready.add(slot);
      wake();
    },
    slotGone(slot) {
      gone.add(slot);
      ready.delete(slot);
    },
    async stop() {
      stopped = true;
      wanted = false;
      clearInterval(poll);
      unsubscribe();
      await passing;
    },
    async drained() {
      await Promise.all([...attempts.values()].map(({ done }) => done));
      keeper.stop();
    },
  };
}
