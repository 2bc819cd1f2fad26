import { expect, it } from 'vitest';
import { createBreaker } from '../../../src/manager/registry/client/breaker.ts';
import {
  BREAKER_FIRST_MS,
  BREAKER_LONGEST_MS,
  HOSTS_MAX,
} from '../../../src/manager/registry/client/limits.ts';

it('leaves a registry alone that failed, twice as long each time, up to a bound, until it answers', () => {
  let time = 0;
  const breaker = createBreaker(() => time);
  const waits = (): number => {
    const from = time;
    while (breaker.isOpen('r.example')) time += 1_000;
    return time - from;
  };
  const failures = Array.from({ length: 12 }, () => {
    breaker.failed('r.example');
    return waits();
  });
  expect(failures.slice(0, 3)).toEqual([BREAKER_FIRST_MS, 2 * BREAKER_FIRST_MS, 4 * BREAKER_FIRST_MS]);
  expect(failures.at(-1)).toBe(BREAKER_LONGEST_MS);
  expect(breaker.isOpen('other.example')).toBe(false);
  breaker.failed('r.example');
  breaker.succeeded('r.example');
  expect(breaker.isOpen('r.example')).toBe(false);
  breaker.failed('r.example');
  expect(waits()).toBe(BREAKER_FIRST_MS);
});

it('remembers so many registries and no more', () => {
  const breaker = createBreaker(() => 0);
  for (let number = 0; number <= HOSTS_MAX; number += 1) breaker.failed(`r${number}.example`);
  expect(breaker.isOpen('r0.example')).toBe(false);
  expect(breaker.isOpen('r1.example')).toBe(true);
  expect(breaker.isOpen(`r${HOSTS_MAX}.example`)).toBe(true);
});
