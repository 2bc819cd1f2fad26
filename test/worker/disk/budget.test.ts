import { describe, expect, it } from 'vitest';
import { budgetBytes, readDiskBudget, showBytes } from '../../../src/worker/disk/budget.ts';

describe('a disk budget', () => {
  it.each([
    ['1', { bytes: 1 }],
    ['500M', { bytes: 500e6 }],
    ['1.5GiB', { bytes: 1.5 * 1024 ** 3 }],
    ['2 tb', { bytes: 2e12 }],
    ['70%', { share: 0.7 }],
    ['100%', { share: 1 }],
    ['none', 'none'],
  ])('may be %s', (text, budget) => expect(readDiskBudget(text)).toEqual(budget));

  it.each(['', '0', '0G', '-1G', '101%', '0%', '7.5%', '1e9', '5 apples', '999999999999999T', 'NONE?'])(
    'may not be "%s"',
    (text) => expect(readDiskBudget(text)).toBeUndefined(),
  );

  it('is a share of the room that there is, where that can be seen', () => {
    expect(budgetBytes({ share: 0.25 }, 1000)).toBe(250);
    expect(budgetBytes({ share: 0.25 }, null)).toBeNull();
    expect(budgetBytes({ bytes: 7 }, null)).toBe(7);
    expect(budgetBytes('none', 1000)).toBeNull();
  });

  it('is shown to people', () => {
    expect([999, 1000, 28_198_562, 3.2e12].map(showBytes)).toEqual(['999 B', '1.0 kB', '28.2 MB', '3.2 TB']);
  });
});
