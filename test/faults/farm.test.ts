import { randomBytes } from 'node:crypto';
import { expect, it } from 'vitest';
import { reportOf } from '../../faults/report.ts';
import { runFaults } from '../../faults/run.ts';

/** `make test-faults` in small: a seed that stays, and one that is another each time. */

it.each([
  { seed: 'squall', builds: 18, faults: 5 },
  { seed: randomBytes(4).toString('hex'), builds: 8, faults: 2 },
])(
  'SEED=$seed BUILDS=$builds FAULTS=$faults: whatever is killed, frozen, cut off or full, no build is lost',
  async (size) => {
    const said: string[] = [];
    const result = await runFaults({
      ...size,
      forMs: 0,
      onOutput: () => undefined,
      tell: (text) => said.push(text),
    });
    expect(result.findings, [...said, reportOf(result)].join('\n')).toEqual([]);
  },
  900_000,
);
