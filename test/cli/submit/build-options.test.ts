import { expect, it } from 'vitest';
import { readBuildOptions } from '../../../src/cli/submit/build-options.ts';

it('reads bounds with their units, and leaves out what was not given', () => {
  expect(
    readBuildOptions(
      { memory: '512m', cpus: '1.5', timeout: '2h', silenceTimeout: '90s', maxTries: '5' },
      {},
      0,
    ),
  ).toEqual({
    limits: { memory: 536_870_912, cpus: 1.5 },
    timeout: 7200,
    silence_timeout: 90,
    max_tries: 5,
  });
  expect(readBuildOptions({ memory: '1048576', network: 'host' }, {}, 0)).toEqual({
    limits: { memory: 1_048_576 },
    network: 'host',
  });
  expect(readBuildOptions({ network: 'default' }, {}, 0)).toEqual({});
});

it.each([{ memory: '1t' }, { memory: 'g' }, { cpus: '1,5' }, { timeout: '-1' }, { silenceTimeout: '1d' }])(
  'refuses %o, with a form that is right',
  (options) => {
    expect(() => readBuildOptions(options, {}, 0)).toThrow(/^--\S+ \S+ is no amount\.$/);
  },
);

it.each([{ maxTries: '2.5' }, { maxTries: 'few' }, { priority: 'high' }, { priority: '-' }])(
  'refuses %o, which is no whole number',
  (options) => {
    expect(() => readBuildOptions(options, {}, 0)).toThrow(/^--\S+ \S+ is no whole number\.$/);
  },
);

it('reads who may take a build, and when', () => {
  const now = Date.parse('2026-11-20T08:00:00Z');
  const options = {
    workerLabel: ['zone=north', '!gpu'],
    requireWorker: true,
    priority: '-5',
    notBefore: '2h',
    exclusive: true,
    dedupeKey: 'push 1',
  };
  expect(readBuildOptions(options, {}, now)).toEqual({
    worker_labels: ['zone=north', '!gpu'],
    require_worker: true,
    priority: -5,
    not_before: '2026-11-20T10:00:00.000Z',
    exclusive: true,
    dedupe_key: 'push 1',
  });
  expect(readBuildOptions({ notBefore: '2026-12-01T00:00Z' }, {}, now)).toEqual({
    not_before: '2026-12-01T00:00:00.000Z',
  });
  for (const notBefore of ['tomorrow', '999999999d']) {
    expect(() => readBuildOptions({ notBefore }, {}, now)).toThrow(/is no time/);
  }
});
