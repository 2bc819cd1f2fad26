import { expect, it } from 'vitest';
import { RATE_LIMIT_KEYS_MAX } from '../../../src/manager/limits.ts';
import { createRateLimit } from '../../../src/manager/realms/rate-limit.ts';

it('counts each key by itself, and anew each minute', () => {
  let time = 0;
  const isTooMany = createRateLimit(2, () => time);
  expect(['a', 'a', 'a', 'b'].map(isTooMany)).toEqual([false, false, true, false]);
  time = 60_000;
  expect(isTooMany('a')).toBe(false);
});

it('remembers so many keys, and lets those beyond have no more than one has', () => {
  const isTooMany = createRateLimit(2, () => 0);
  for (let key = 0; key < RATE_LIMIT_KEYS_MAX; key++) expect(isTooMany(String(key))).toBe(false);
  expect(['x', 'y', 'z', '0'].map(isTooMany)).toEqual([false, false, true, false]);
});

it('says beforehand that one more is too many, which counts nothing', () => {
  const isTooMany = createRateLimit(1, () => 0);
  expect([isTooMany.isReached('a'), isTooMany.isReached('a')]).toEqual([false, false]);
  expect(isTooMany('a')).toBe(false);
  expect([isTooMany.isReached('a'), isTooMany.isReached('b')]).toEqual([true, false]);
});
