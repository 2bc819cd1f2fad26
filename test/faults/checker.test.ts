import { describe, expect, it } from 'vitest';
import { check } from '../../faults/checker.ts';
import type { SeenBuild, SeenRecord } from '../../faults/observations.ts';
import { listenForOwnErrors } from '../../faults/own-errors.ts';
import { faultsOf, strikePoints } from '../../faults/schedule.ts';
import { faultless, orderOf, recordsOf, sightingOf, tryOf, type Spoilable } from './support.ts';

/** What judges the fault suite's runs catches whatever is planted in one, and nothing where nothing was. */

const codes = (observations: Parameters<typeof check>[0]): string[] =>
  check(observations).map(({ code }) => code);

/** The first build of a faultless run, with this changed. */
function withFirst(change: (build: SeenBuild) => Partial<SeenBuild>): Spoilable {
  const run = faultless();
  const [first, ...others] = run.builds;
  if (!first) throw new Error('a run has builds');
  return { ...run, builds: [{ ...first, ...change(first) }, ...others] };
}

/** A faultless run whose first build has this log. */
function withLog(
  records: readonly SeenRecord[],
  change: (build: SeenBuild) => Partial<SeenBuild> = () => ({}),
): Spoilable {
  const run = withFirst(change);
  run.logs.set(run.builds[0]?.id ?? '', [...records]);
  return run;
}

const lostThenComplete = (): Partial<SeenBuild> => ({ tries: [tryOf(1, 'lost'), tryOf(2, 'complete')] });
const whole = recordsOf(orderOf(1), 1);
const [spare] = whole;
if (!spare) throw new Error('a log has records');
const without = (seq: number): SeenRecord[] =>
  whole.filter((record) => record.seq !== seq).map((record, index) => ({ ...record, seq: index + 1 }));
const twice = (seq: number): SeenRecord[] =>
  whole
    .flatMap((record) => (record.seq === seq ? [record, record] : [record]))
    .map((record, index) => ({ ...record, seq: index + 1 }));

it('finds nothing where every promise was kept', () => {
  expect(check(faultless())).toEqual([]);
});

describe('ends', () => {
  it('a build that was accepted and is not there', () => {
    const run = faultless();
    expect(codes({ ...run, builds: run.builds.slice(1) })).toEqual(['lost']);
  });

  it('a build that nobody submitted', () => {
    const run = faultless();
    expect(codes({ ...run, accepted: run.accepted.slice(1) })).toEqual(['unasked']);
  });

  it('a submit without an answer may have been accepted, or not', () => {
    const run = faultless();
    expect(codes({ ...run, accepted: run.accepted.slice(1), doubtful: [orderOf(1), orderOf(9)] })).toEqual(
      [],
    );
  });

  it('an order that was taken twice', () => {
    const run = faultless();
    const [first] = run.builds;
    if (!first) throw new Error('a run has builds');
    const again = { ...first, id: '00000000-0000-4000-8000-00000000000a' };
    expect(codes({ ...run, builds: [...run.builds, again] })).toContain('unasked');
  });

  it('a build that has not ended', () => {
    const run = withFirst(() => ({
      state: 'running',
      ended_at: null,
      tries: [{ ...tryOf(1, null), ended_at: null }],
    }));
    expect(codes(run)).toContain('unfinished');
  });

  it('a build with two complete tries', () => {
    const run = withLog([...whole, ...recordsOf(orderOf(1), 2)], () => ({
      tries: [tryOf(1, 'complete'), tryOf(2, 'complete')],
    }));
    expect(codes(run)).toEqual(['ended twice']);
  });

  it('a build that was seen complete, and failed afterwards', () => {
    const run = faultless();
    const failed = sightingOf(1, 20, 'error', 'error');
    expect(codes({ ...run, sightings: [...run.sightings, failed] })).toEqual(['ended twice']);
  });

  it('a build that was seen complete, and ran again afterwards', () => {
    const run = faultless();
    const running = sightingOf(1, 20, 'running', 'running');
    expect(codes({ ...run, sightings: [...run.sightings, running] })).toEqual(['changed after its end']);
  });

  it('a build that was seen complete twice, with two digests', () => {
    const run = faultless();
    const other = sightingOf(1, 20, 'complete', 'complete with another digest');
    expect(codes({ ...run, sightings: [...run.sightings, other] })).toEqual(['ended twice']);
  });

  it('an answer that was asked for before the end, and came late, is no change', () => {
    const run = faultless();
    const late = {
      ...sightingOf(1, 20, 'running', 'running'),
      askedAt: sightingOf(1, 14, 'running', '').askedAt,
    };
    expect(codes({ ...run, sightings: [...run.sightings, late] })).toEqual([]);
  });

  it.each<[string, Partial<SeenBuild>]>([
    ['one number is left out', { tries: [tryOf(1, 'lost'), { ...tryOf(2, 'complete'), number: 3 }] }],
    [
      'two ran at once',
      { tries: [tryOf(1, 'lost'), { ...tryOf(2, 'complete'), started_at: tryOf(1, null).started_at }] },
    ],
    ['one has no end', { tries: [{ ...tryOf(1, 'lost'), ended_at: null }, tryOf(2, 'complete')] }],
    ['the last one is not what the build is', { tries: [tryOf(1, 'lost')] }],
    ['one is complete, and the build is not', { state: 'internalerror' }],
  ])('tries: %s', (_, change) => {
    const run = withFirst(() => change);
    run.logs.set(run.builds[0]?.id ?? '', []);
    expect(codes(run)).toContain('tries');
  });

  it('too few complete builds, where each has an end', () => {
    const run = withFirst(() => ({ state: 'error', digests: {}, tries: [tryOf(1, 'error')] }));
    expect(codes(run)).toEqual(['too few complete']);
  });

  it('one in a hundred may fail', () => {
    const run = faultless(100);
    const [first, ...others] = run.builds;
    if (!first) throw new Error('a run has builds');
    const failed: SeenBuild = { ...first, state: 'error', digests: {}, tries: [tryOf(1, 'error')] };
    expect(codes({ ...run, builds: [failed, ...others] })).toEqual([]);
  });
});

describe('digests', () => {
  it('one that the registry does not have', () => {
    expect(codes({ ...faultless(), manifests: new Map() })).toEqual(['digest', 'digest', 'digest']);
  });

  it('none is recorded', () => {
    expect(codes(withFirst(() => ({ digests: {} })))).toEqual(['digest']);
  });

  it('one of another image', () => {
    const run = withFirst(({ tag_names }) => ({
      digests: { [tag_names[0] ?? '']: Object.values(faultless().builds[1]?.digests ?? {})[0] ?? null },
    }));
    expect(codes(run)).toEqual(['digest']);
  });

  it('one of an image that lacks a layer', () => {
    const run = faultless();
    const [digest = ''] = run.manifests.keys();
    const config = run.builds[0]?.image_id ?? '';
    const torn = new Map(run.manifests).set(digest, { type: 'found', config, missingBlobs: ['sha256:0'] });
    expect(codes({ ...run, manifests: torn })).toEqual(['digest']);
  });
});

describe('logs', () => {
  it.each<[string, readonly SeenRecord[]]>([
    ['none at all', []],
    ['a record is lost', whole.filter(({ seq }) => seq !== 4)],
    ['a record is there twice', whole.flatMap((record) => (record.seq === 4 ? [record, record] : [record]))],
    ['a line is lost, and nobody counted it', without(4)],
    ['the last line is lost', without(whole.length)],
    ['a line is there twice, each time with a number', twice(4)],
    [
      'two lines changed places',
      whole.map((record) => ({
        ...record,
        text: (whole[[0, 1, 3, 2][record.seq - 1] ?? record.seq - 1] ?? record).text,
      })),
    ],
    [
      'a line of another build',
      [...whole, { ...spare, seq: whole.length + 1, text: 'build-2 says line 9\n' }],
    ],
    ['records of a try that never was', [...whole, ...recordsOf(orderOf(1), 2)]],
  ])('%s', (_, records) => {
    expect(codes(withLog(records))).toEqual(['log']);
  });

  it('lines cut over several records are whole', () => {
    const text = whole.map((record) => record.text).join('');
    const records = Array.from({ length: text.length }, (_, index) => ({
      ...spare,
      seq: index + 1,
      text: text.charAt(index),
    }));
    expect(codes(withLog(records))).toEqual([]);
  });

  it('a try that was lost may end anywhere', () => {
    const log = [...recordsOf(orderOf(1), 1, 2), ...recordsOf(orderOf(1), 2)];
    expect(codes(withLog(log, lostThenComplete))).toEqual([]);
  });

  it('a try that was lost has no hole', () => {
    const first = recordsOf(orderOf(1), 1, 3).filter(({ text }) => !text.includes('line 2'));
    const log = [
      ...first.map((record, index) => ({ ...record, seq: index + 1 })),
      ...recordsOf(orderOf(1), 2),
    ];
    expect(codes(withLog(log, lostThenComplete))).toEqual(['log']);
  });

  it('a step that an earlier try had made prints nothing', () => {
    const second = recordsOf(orderOf(1), 2)
      .filter(({ text }) => !/line [123]\n/.test(text))
      .map((record, index) => ({
        ...record,
        seq: index + 1,
        text: record.text.includes('part 0') ? `${record.text} ---> Using cache\n` : record.text,
      }));
    expect(codes(withLog([...whole, ...second], lostThenComplete))).toEqual([]);
  });
});

it('whatever is left over', () => {
  const run = faultless();
  const leftovers = [
    { kind: 'container', name: 'c0ffee' },
    { kind: 'credential', name: 'build-1 try 1' },
  ] as const;
  expect(codes({ ...run, leftovers })).toEqual(['left over', 'left over']);
});

it('what a manager logged of an error of its own', () => {
  const run = faultless();
  const [build = null] = run.builds.map(({ id }) => id);
  const ownErrors = [{ program: 'manager-1', build, line: 'a try failed in the manager' }];
  expect(codes({ ...run, ownErrors })).toEqual(['error of a manager']);
});

it('such a line is heard however it is cut, and whatever else is printed', () => {
  const errors = listenForOwnErrors();
  const line = JSON.stringify({ msg: 'a try could not be given back', build: 'b', try: 1 });
  const printed = ['PostgreSQL says no', JSON.stringify({ msg: 'a try is over', build: 'b' }), line, ''].join(
    '\n',
  );
  for (const character of printed) errors.hear('manager-2', character);
  expect(errors.found).toEqual([{ program: 'manager-2', build: 'b', line }]);
});

it('a long run in which no build was met in some phase', () => {
  const fault = faultsOf('a', 'edge').next().value;
  const strikes = Array.from({ length: 60 }, () => {
    return { fault, victim: 'worker-1', build: null, at: 'building', startedAt: 0, endedAt: 0 } as const;
  });
  expect(new Set(codes({ ...faultless(), strikes }))).toEqual(new Set(['not struck']));
  const everywhere = strikePoints.map((at) => ({
    fault,
    victim: 'worker-1',
    build: null,
    at,
    startedAt: 0,
    endedAt: 0,
  }));
  expect(codes({ ...faultless(), strikes: [...strikes, ...everywhere] })).toEqual([]);
});
