import type { ClaimRequest } from '../../store/index.ts';
import { CLAIM_SLOTS_MAX } from '../limits.ts';
import type { Slot } from '../realms/slot.ts';

/** Slots that a claim may choose from. */
interface Choice {
  /** What the claim says of them. */
  readonly request: Pick<ClaimRequest, 'others'>;
  /** The slot that got the build, by its realm: also when it has gone meanwhile. */
  slotOf(realm: string | null): Slot;
}

/** Slots that ask for a build together. */
interface Asking extends Choice {
  /** What they have in common: the same for slots that can do the same. */
  readonly sort: string;
  readonly request: Pick<ClaimRequest, 'worker' | 'others' | 'kinds' | 'extensions' | 'labels'>;
}

/** The slots that may be given a build, by what they can do. */
export interface ReadySlots {
  add(slot: Slot): void;
  delete(slot: Slot): void;
  all(): readonly Slot[];
  /** Those of the next sort that is not left out; null when there is none. */
  ask(leaveOut: ReadonlySet<string>): Asking | null;
  /** Those that go before an executor, which asks: some of each sort. */
  beforeOthers(): Choice;
}

export function createReadySlots(): ReadySlots {
  const sorts = new Map<string, Set<Slot>>();
  /** How many slots of a worker are ready, by its id. */
  const readyOf = new Map<string, number>();
  const busyOf = ({ worker }: Slot): number => worker.slots - (readyOf.get(worker.id) ?? 0);
  const count = ({ worker }: Slot, change: number): void => {
    const ready = (readyOf.get(worker.id) ?? 0) + change;
    if (ready === 0) readyOf.delete(worker.id);
    else readyOf.set(worker.id, ready);
  };

  /** Those that were freed last may still have what the next build needs; of these, the worker that does least goes first. */
  const latest = (alike: ReadonlySet<Slot>, most: number): Slot[] =>
    [...alike]
      .slice(-most)
      .reverse()
      .sort((one, other) => busyOf(one) - busyOf(other));

  return {
    add(slot) {
      const sort = sortOf(slot);
      const alike = sorts.get(sort) ?? new Set();
      if (alike.has(slot)) return;
      sorts.set(sort, alike.add(slot));
      count(slot, 1);
    },
    delete(slot) {
      const sort = sortOf(slot);
      const alike = sorts.get(sort);
      if (!alike?.delete(slot)) return;
      if (alike.size === 0) sorts.delete(sort);
      count(slot, -1);
    },
    all: () => [...sorts.values()].flatMap((alike) => [...alike]),
    ask(leaveOut) {
      const [found] = sorts.entries().filter(([sort]) => !leaveOut.has(sort));
      if (!found) return null;
      const [sort, alike] = found;
      const own = latest(alike, CLAIM_SLOTS_MAX);
      const different = sorts
        .entries()
        .filter(([other]) => other !== sort)
        .flatMap(([, slots]) => slots)
        .take(CLAIM_SLOTS_MAX)
        .toArray();
      const [first, ...others] = own;
      if (!first) return null;
      return {
        sort,
        request: {
          worker: named(first),
          others: [...others.map(named), ...different.map(offered)],
          ...offeringOf(first),
        },
        slotOf: finder([...own, ...different]),
      };
    },
    beforeOthers() {
      const ofEach = Math.max(1, Math.floor(CLAIM_SLOTS_MAX / sorts.size));
      const slots = [...sorts.values()].flatMap((alike) => latest(alike, ofEach)).slice(0, CLAIM_SLOTS_MAX);
      return { request: { others: slots.map(offered) }, slotOf: finder(slots) };
    },
  };
}

function named({ worker: { id, slot }, realm }: Slot): NonNullable<ClaimRequest['worker']> {
  return { id, slot, realm };
}

function offered(slot: Slot): NonNullable<ClaimRequest['others']>[number] {
  return { ...named(slot), ...offeringOf(slot) };
}

function finder(slots: readonly Slot[]): Choice['slotOf'] {
  return (realm) => {
    const slot = slots.find((each) => each.realm === realm);
    if (!slot) throw new Error('a build was claimed for a slot that did not ask');
    return slot;
  };
}

function offeringOf({
  worker: { kinds, labels },
  extensions,
}: Slot): Pick<Asking['request'], 'kinds' | 'extensions' | 'labels'> {
  return { kinds, extensions, labels };
}

function sortOf({ worker: { kinds, labels }, extensions }: Slot): string {
  return JSON.stringify([kinds, extensions, Object.entries(labels).sort()]);
}
