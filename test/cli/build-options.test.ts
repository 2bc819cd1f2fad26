import { expect, it } from 'vitest';
import { readBuildOptions } from '../../src/cli/build-options.ts';

it('reads bounds with their units, and leaves out what was not given', () => {
  expect(
    readBuildOptions(
      { memory: '512m', cpus: '1.5', timeout: '2h', silenceTimeout: '90s', maxTries: '5' },
      {},
    ),
  ).toEqual({
    limits: { memory: 536_870_912, cpus: 1.5 },
    timeout: 7200,
    silence_timeout: 90,
    max_tries: 5,
  });
  expect(readBuildOptions({ memory: '1048576', network: 'host' }, {})).toEqual({
    limits: { memory: 1_048_576 },
    network: 'host',
  });
  expect(readBuildOptions({ network: 'default' }, {})).toEqual({});
});

it.each([{ memory: '1t' }, { memory: 'g' }, { cpus: '1,5' }, { timeout: '-1' }, { silenceTimeout: '1d' }])(
  'refuses %o, with a form that is right',
  (options) => {
    expect(() => readBuildOptions(options, {})).toThrow(/^--\S+ \S+ is no amount\.$/);
  },
);
