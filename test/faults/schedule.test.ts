import { expect, it } from 'vitest';
import {
  dockerfileOf,
  faultKinds,
  faultsOf,
  lanes,
  lineOf,
  ordersOf,
  strikePoints,
} from '../../faults/schedule.ts';

/** A seed repeats its schedule, and no schedule leaves anything out. */

function first<T>(count: number, items: Generator<T, never>): T[] {
  return Array.from({ length: count }, () => items.next().value);
}

it('a seed repeats its schedule, and another has another', () => {
  for (const lane of lanes) {
    expect(first(50, faultsOf('a', lane))).toEqual(first(50, faultsOf('a', lane)));
    expect(first(50, faultsOf('a', lane))).not.toEqual(first(50, faultsOf('b', lane)));
  }
  expect(first(50, ordersOf('a'))).toEqual(first(50, ordersOf('a')));
  expect(first(50, ordersOf('a'))).not.toEqual(first(50, ordersOf('b')));
});

it.each(['a', 'b', 'c'])('every fault comes, and every point is struck, with seed %s', (seed) => {
  const faults = lanes.flatMap((lane) => first(24, faultsOf(seed, lane)));
  expect(new Set(faults.map(({ kind }) => kind))).toEqual(new Set(Object.keys(faultKinds)));
  for (const lane of lanes) {
    const round = first(strikePoints.length, faultsOf(seed, lane));
    expect(new Set(round.map(({ at }) => at))).toEqual(new Set(strikePoints));
  }
});

it('each build prints its lines, numbered through its steps', () => {
  const order = { ...ordersOf('a').next().value, parts: 2, linesEach: 10 };
  const steps = dockerfileOf(order)
    .split('\n')
    .filter((line) => line.startsWith('RUN'));
  expect(steps[0]).toContain('i=1; while [ $i -le 10 ]');
  expect(steps[1]).toContain('i=11; while [ $i -le 20 ]');
  expect(steps[1]).toContain(lineOf(order, '$i'));
});
