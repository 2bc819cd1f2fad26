import { expect, it } from 'vitest';
import { buildRequestSchema } from '../../src/contract/api.ts';

/** What a build asks for, and in which words it is refused. */

it.each([
  ['max_tries', [0, 11, 2.5, '3'], 'must be a whole number from 1 to 10'],
  ['priority', [-1001, 1001, 0.5], 'must be a whole number from -1000 to 1000'],
  ['timeout', [0, 86_401, 0.5], 'must be a whole number of seconds from 1 to 86400'],
  ['silence_timeout', [0, 86_401, 0.5], 'must be a whole number of seconds from 1 to 86400'],
])('%s that is out of bounds is told them', (name, values, rule) => {
  for (const value of values) expect(refusalOf({ [name]: value })).toEqual([[name, rule]]);
});

it.each([
  [
    { memory: 1024 },
    'memory',
    'must be a whole number of bytes, from 6291456 (6 MiB) to 1125899906842624 (1 PiB)',
  ],
  [{ memory: 2 ** 51 }, 'memory', expect.stringContaining('6 MiB')],
  [{ memory: 6_291_456.5 }, 'memory', expect.stringContaining('whole number of bytes')],
  [{ cpus: 0 }, 'cpus', 'must be a number from 0.01 to 1024'],
  [{ cpus: 1025 }, 'cpus', 'must be a number from 0.01 to 1024'],
])('limits that are out of bounds are told them: %j', (limits, name, rule) => {
  expect(refusalOf({ limits })).toEqual([[`limits.${name}`, rule]]);
});

function refusalOf(more: object): [path: string, message: string][] {
  const { error } = buildRequestSchema.safeParse({ repository: 'team/app', ...more });
  return (error?.issues ?? []).map(({ path, message }) => [path.join('.'), message]);
}
