import {
  DatabaseAway,
  type Lease,
  type RealmStore,
  type WakeUps,
  type WorkerRow,
  type WorkerStore,
} from '../../store/index.ts';
import {
  REALM_KEEP_SECONDS,
  WATCHES_AFTER_A_STOP,
  WORKER_WATCH_MS,
  WORKER_WRITE_MS,
  WORKERS_A_STATEMENT,
} from '../limits.ts';
import type { SlotConnection } from './slot-connection.ts';

interface RosterDependencies {
  readonly workers: Pick<WorkerStore, 'put' | 'remove'>;
  readonly realms: Pick<RealmStore, 'keep' | 'remove' | 'forgotten'>;
  readonly wakeUps: WakeUps;
  readonly manager: string;
  readonly heartbeatTimeoutSeconds: number;
  readonly logger: { warn(fields: object, message: string): void };
  readonly now: () => number;
}

/** The slots that are connected to this manager. */
export interface Roster {
  add(slot: SlotConnection): void;
  remove(slot: SlotConnection): void;
  /** A slot was given a build, or (null) is free again. */
  busy(slot: Pick<SlotConnection, 'realm'>, lease: Lease | null): void;
  stop(): Promise<void>;
}

/**
 * Keeps the rows of connected workers, many in one statement, and ends the session of a worker that has been silent for too
 * long: whatever it builds is given to another.
 */
export function startRoster(dependencies: RosterDependencies): Roster {
  const { workers, realms, wakeUps, manager, heartbeatTimeoutSeconds, logger, now } = dependencies;
  const slots = new Map<string, SlotConnection>();
  /** By realm. Where a worker may come back with its build, its realm is left to run out. */
  const removed = new Map<string, { readonly mayComeBack: boolean }>();
  const dirty = new Set<SlotConnection>();
  let writing: Promise<void> = Promise.resolve();

  const row = (slot: SlotConnection): WorkerRow => ({
    ...slot.worker,
    realm: slot.realm,
    kind: slot.session.realm.data.kind,
    state: slot.lease === null ? 'ready' : 'busy',
    extensions: slot.extensions,
    address: slot.session.transport.address,
    manager,
    connectedAt: new Date(slot.connectedAt),
    lastSeenAt: new Date(slot.session.lastSeen),
    buildId: slot.lease?.buildId ?? null,
    registeredAs: slot.session.realm.data.registeredAs,
  });

  /** One after the other. What fails is made up for by the next round, which writes all of them. */
  const inTurn = (work: () => Promise<void>): Promise<void> => {
    writing = writing.then(work).catch((error: unknown) => {
      if (!(error instanceof DatabaseAway)) logger.warn({ err: error }, 'writing the workers failed');
    });
    return writing;
  };

  const write = async (which: Iterable<SlotConnection>): Promise<void> => {
    const gone = [...removed];
    if (gone.length > 0) {
      await workers.remove(gone.map(([realm]) => realm));
      for (const [realm, { mayComeBack }] of gone) {
        if (!mayComeBack) await realms.remove(realm);
        removed.delete(realm);
      }
    }
    for (const page of pagesOf(which))
      await workers.put(page.filter(({ realm }) => slots.has(realm)).map(row));
  };

  /** Changes of one moment are written together. */
  const writeSoon = (): void => {
    if (dirty.size === 0 && removed.size === 0) return;
    const which = new Set(dirty);
    dirty.clear();
    void inTurn(() => write(which));
  };

  /** Ends the sessions whose worker was forgotten. */
  const endForgotten = async (which: (slot: SlotConnection) => boolean): Promise<void> => {
    for (const page of pagesOf([...slots.values()].filter(which))) {
      for (const realm of await realms.forgotten(page.map(({ realm }) => realm))) {
        const slot = slots.get(realm);
        if (slot === undefined) continue;
        logger.warn({ worker: slot.worker.id, ...idsOf(slot) }, 'a worker was forgotten');
        slot.session.abort(
          'io.quay.buildworker.forgotten',
          'this worker was forgotten: it may register anew',
        );
      }
    }
  };
  const unsubscribe = wakeUps.subscribe((event) => {
    if (event.type === 'worker') void inTurn(() => endForgotten(({ worker }) => worker.id === event.id));
    if (event.type === 'resync') void inTurn(() => endForgotten(() => true));
  });

  let looked = now();
  let punctual = 0;
  const watch = setInterval(() => {
    const time = now();
    // Whoever was stopped itself, by a signal or a busy machine, reads first what workers sent meanwhile.
    punctual = Math.abs(time - looked - WORKER_WATCH_MS) < WORKER_WATCH_MS ? punctual + 1 : 0;
    looked = time;
    if (punctual < WATCHES_AFTER_A_STOP) return;
    for (const slot of slots.values()) {
      const silent = slot.silentFor(time) / 1000;
      if (silent < heartbeatTimeoutSeconds) continue;
      logger.warn(
        {
          worker: slot.worker.id,
          ...idsOf(slot),
          silent,
        },
        'a worker is silent and counts as lost',
      );
      slot.session.abort('wamp.error.timeout', `nothing was heard for ${Math.round(silent)} s`);
    }
  }, WORKER_WATCH_MS);
  let round: Promise<void> | null = null;
  const writer = setInterval(() => {
    // A database that is slow is not asked for more.
    round ??= inTurn(async () => {
      await write(slots.values());
      for (const page of pagesOf(slots.keys())) await realms.keep(page, REALM_KEEP_SECONDS);
      await endForgotten(() => true);
    }).finally(() => {
      round = null;
    });
  }, WORKER_WRITE_MS);

  return {
    add(slot) {
      slots.set(slot.realm, slot);
      removed.delete(slot.realm);
      dirty.add(slot);
      setImmediate(writeSoon);
    },
    busy(which, lease) {
      const slot = slots.get(which.realm);
      // It may have been displaced by the same worker's next connection.
      if (slot === undefined || slot !== which) return;
      slot.lease = lease;
      dirty.add(slot);
      setImmediate(writeSoon);
    },
    remove(slot) {
      slots.delete(slot.realm);
      removed.set(slot.realm, { mayComeBack: slot.lease !== null && slot.extensions.includes('resume') });
      setImmediate(writeSoon);
    },
    async stop() {
      unsubscribe();
      clearInterval(watch);
      clearInterval(writer);
      writeSoon();
      await writing;
    },
  };
}

/** The same things, as many at a time as a statement takes. */
function* pagesOf<Thing>(things: Iterable<Thing>): Generator<Thing[]> {
  const all = [...things];
  for (let from = 0; from < all.length; from += WORKERS_A_STATEMENT) {
    yield all.slice(from, from + WORKERS_A_STATEMENT);
  }
}

/** What the log says of the build that a slot has. */
function idsOf({ lease }: SlotConnection): object {
  return lease === null ? {} : { build: lease.buildId, try: lease.try };
}
