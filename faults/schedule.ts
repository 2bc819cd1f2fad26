import { workerPhases, type WorkerPhase } from '../src/contract/phases.ts';
import { randomOf, type Random } from './random.ts';

/** What a run does to the farm, and what it has the farm build: both are decided by the seed alone. */

/** Where a build stands when a fault strikes: a phase of its worker, or on its way to a hosted one. */
export const strikePoints = ['starting', ...workerPhases] as const;
export type StrikePoint = 'starting' | WorkerPhase;

/**
 * Every fault, how often it comes compared with the others, and for how long it stays, in tenths of a second. Two lanes strike side by
 * side: one the workers, their engines and wires, the other what they share, so that one manager of two is always there.
 */
export const faultKinds = {
  'kill worker': { lane: 'edge', weight: 3, tenths: [1, 20] },
  'freeze worker': { lane: 'edge', weight: 2, tenths: [20, 180] },
  'cut network': { lane: 'edge', weight: 2, tenths: [20, 180] },
  'half-open connection': { lane: 'edge', weight: 1, tenths: [20, 180] },
  'kill worker unheard': { lane: 'edge', weight: 1, tenths: [20, 100] },
  'kill engine': { lane: 'edge', weight: 1, tenths: [1, 20] },
  'fill work directory': { lane: 'edge', weight: 1, tenths: [20, 60] },
  'fill engine disk': { lane: 'edge', weight: 1, tenths: [20, 60] },
  'kill manager': { lane: 'centre', weight: 3, tenths: [1, 20] },
  'freeze manager': { lane: 'centre', weight: 2, tenths: [60, 160] },
  'kill database': { lane: 'centre', weight: 2, tenths: [1, 30] },
  'kill database backend': { lane: 'centre', weight: 1, tenths: [1, 5] },
  'freeze database': { lane: 'centre', weight: 1, tenths: [10, 80] },
  'fill manager disk': { lane: 'centre', weight: 1, tenths: [20, 60] },
  'fill database disk': { lane: 'centre', weight: 1, tenths: [20, 60] },
} as const satisfies Record<string, { lane: string; weight: number; tenths: readonly [number, number] }>;
type FaultKind = keyof typeof faultKinds;
export const lanes = ['edge', 'centre'] as const;
export type Lane = (typeof lanes)[number];

export interface Fault {
  /** Counts up in its lane, from 1. */
  readonly number: number;
  readonly lane: Lane;
  readonly kind: FaultKind;
  /** It strikes when a build is there. */
  readonly at: StrikePoint;
  /** How long after the last fault of its lane the next is looked for, in milliseconds. */
  readonly restMs: number;
  /** How long it stays, in milliseconds. */
  readonly forMs: number;
  /** Chooses among several builds that are there: a fraction of their number. */
  readonly choice: number;
}

/** The faults of a lane, without end. In each round every point is struck once, and kinds come as often as their weight says. */
export function* faultsOf(seed: string, lane: Lane): Generator<Fault, never, void> {
  const random = randomOf(`${seed}/${lane}`);
  const kinds = (Object.keys(faultKinds) as FaultKind[]).filter((kind) => faultKinds[kind].lane === lane);
  const bag = kinds.flatMap((kind) => Array<FaultKind>(faultKinds[kind].weight).fill(kind));
  const nextKind = rounds(bag, random);
  const nextPoint = rounds(strikePoints, random);
  for (let number = 1; ; number += 1) {
    const kind = nextKind.next().value;
    const [least, most] = faultKinds[kind].tenths;
    yield {
      number,
      lane,
      kind,
      at: nextPoint.next().value,
      restMs: random.integer(300, 2000),
      forMs: 100 * random.integer(least, most),
      choice: random.fraction(),
    };
  }
}

function* rounds<T>(items: readonly T[], random: Random): Generator<T, never, void> {
  for (;;) yield* random.shuffle(items);
}

/** A build that the farm is given. */
export interface Order {
  /** In every line that it prints, and its tag. */
  readonly name: string;
  readonly repository: string;
  /** `upload`: with the request. `url`: from a server that takes its time. */
  readonly source: 'upload' | 'url';
  /** How many steps print, and how many lines each. */
  readonly parts: number;
  readonly linesEach: number;
  /** How long a step waits after each line, in microseconds. */
  readonly pauseMicroseconds: number;
}

const REPOSITORIES = 6;

/** The builds of a run, without end. */
export function* ordersOf(seed: string): Generator<Order, never, void> {
  const random = randomOf(`${seed}/orders`);
  for (let number = 1; ; number += 1) {
    yield {
      name: `build-${number}`,
      repository: `team-${random.integer(1, 2)}/app-${random.integer(1, REPOSITORIES / 2)}`,
      source: random.pick(['upload', 'url']),
      parts: random.integer(1, 3),
      linesEach: random.integer(5, 30),
      pauseMicroseconds: random.integer(5, 40) * 1000,
    };
  }
}

/** What every line but its number says. */
export function lineOf({ name }: Pick<Order, 'name'>, number: number | string): string {
  return `${name} says line ${number}`;
}

/** A step that prints the lines of one part; by its beginning the log of a build is known to hold it. */
export function dockerfileOf(order: Order): string {
  const steps = Array.from({ length: order.parts }, (_, part) => {
    const [first, last] = [part * order.linesEach + 1, (part + 1) * order.linesEach];
    return (
      `RUN : ${partMark(part)}; i=${first}; while [ $i -le ${last} ]; do echo "${lineOf(order, '$i')}"; ` +
      `usleep ${order.pauseMicroseconds}; i=$((i+1)); done; echo ${order.name} >/part-${part}`
    );
  });
  return ['FROM busybox:stable', ...steps, ''].join('\n');
}

/** Marks the heading of a part's step. */
export function partMark(part: number): string {
  return `part ${part}`;
}
