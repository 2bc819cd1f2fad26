import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseStepHeading } from '../../../src/contract/log-messages.ts';
import { createBuildProgress } from '../../../src/worker/engine/buildkit/progress.ts';
import {
  statusResponse,
  toInt64,
  type StatusResponse,
  type Time,
} from '../../../src/worker/engine/buildkit/protobuf.ts';

const at = (seconds: number): Time => ({ seconds: toInt64(BigInt(seconds)), nanos: 0 });

interface Told {
  vertexes?: {
    digest: string;
    name: string;
    started?: number;
    completed?: number;
    cached?: boolean;
    error?: string;
  }[];
  logs?: { vertex: string; time: number; text: string | Uint8Array }[];
}

/** A report as the engine sends it: encoded, and decoded again. */
function report({ vertexes = [], logs = [] }: Told): StatusResponse {
  return statusResponse.decode(
    statusResponse.encode({
      vertexes: vertexes.map(({ digest, name, started, completed, cached = false, error = '' }) => ({
        digest,
        name,
        cached,
        error,
        started: started === undefined ? null : at(started),
        completed: completed === undefined ? null : at(completed),
      })),
      logs: logs.map(({ vertex, time, text }) => ({
        vertex,
        timestamp: at(time),
        stream: toInt64(1n),
        msg: typeof text === 'string' ? Buffer.from(text) : text,
      })),
    }),
  );
}

function print(...reports: Told[]): string {
  const progress = createBuildProgress();
  return [...reports.flatMap((told) => progress.read(report(told))), ...progress.end()]
    .map(({ stream }) => stream ?? '')
    .join('');
}

const COMPILE = { digest: 'c', name: '[compile 2/2] RUN make' };
const COPY = { digest: 'd', name: '[stage-1 2/3] COPY --from=compile /a /' };

describe('steps', () => {
  test('are numbered in the order in which they begin, over all stages', () => {
    expect(
      print(
        { vertexes: [{ digest: 'a', name: '[compile 1/2] FROM base' }, COMPILE, COPY] },
        { vertexes: [{ digest: 'a', name: '[compile 1/2] FROM base', started: 1, completed: 2 }] },
        { vertexes: [{ ...COMPILE, started: 3 }] },
        { vertexes: [{ ...COPY, started: 4 }] },
      ),
    ).toBe('Step 1/3 : FROM base\nStep 2/3 : RUN make\nStep 3/3 : COPY --from=compile /a /\n');
  });

  test('that stages share are one', () => {
    const steps = ['[one 1/2] FROM base', '[one 2/2] RUN it', '[two 2/2] COPY --from=one /a /'];
    const vertexes = steps.map((name) => ({ digest: name, name }));
    expect(
      print({ vertexes }, ...vertexes.map((each, at) => ({ vertexes: [{ ...each, started: at }] }))),
    ).toBe('Step 1/3 : FROM base\nStep 2/3 : RUN it\nStep 3/3 : COPY --from=one /a /\n');
  });

  test('are told once, though BuildKit tells of them again and again', () => {
    const begun = { ...COMPILE, started: 1 };
    expect(
      print({ vertexes: [begun] }, { vertexes: [begun] }, { vertexes: [{ ...begun, completed: 2 }] }),
    ).toBe('Step 1/1 : RUN make\n');
  });

  test('that are cached say so once, below their own headings', () => {
    const cached = { ...COMPILE, started: 1, completed: 1, cached: true };
    const copied = { ...COPY, started: 1, completed: 1, cached: true };
    expect(print({ vertexes: [cached, copied] }, { vertexes: [cached] })).toBe(
      'Step 1/2 : RUN make\n ---> Using cache\nStep 2/2 : COPY --from=compile /a /\n ---> Using cache\n',
    );
  });

  test('that turn out to be cached when another has begun do not say so of that one', () => {
    expect(
      print(
        { vertexes: [{ ...COMPILE, started: 1 }, COPY] },
        { vertexes: [{ ...COPY, started: 2 }] },
        { vertexes: [{ ...COMPILE, started: 1, completed: 3, cached: true }] },
      ),
    ).toBe('Step 1/2 : RUN make\nStep 2/2 : COPY --from=compile /a /\n');
  });

  test('begin before what they print, and after what was printed before', () => {
    expect(
      print({
        vertexes: [
          { ...COMPILE, started: 1, completed: 4 },
          { ...COPY, started: 5 },
        ],
        logs: [
          { vertex: 'c', time: 2, text: 'made\n' },
          { vertex: 'd', time: 6, text: 'copied\n' },
        ],
      }),
    ).toBe('Step 1/2 : RUN make\nmade\nStep 2/2 : COPY --from=compile /a /\ncopied\n');
  });

  test('are never more than their total', () => {
    const number = fc.integer({ min: 0, max: 9 });
    const vertex = fc.record({
      digest: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'),
      name: fc.oneof(
        fc
          .tuple(fc.constantFrom('', 'one ', 'two '), number, number)
          .map(([stage, n, m]) => `[${stage}${n}/${m}] RUN it`),
        fc.string(),
      ),
      started: number,
      cached: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(fc.array(vertex)), (reports) => {
        const headings = print(...reports.map((vertexes) => ({ vertexes })))
          .split('\n')
          .map(parseStepHeading)
          .filter((heading) => heading !== null);
        for (const [index, { ordinal, total }] of headings.entries()) {
          expect(ordinal).toBe(index + 1);
          expect(ordinal).toBeLessThanOrEqual(total ?? 0);
        }
      }),
    );
  });
});

describe('output', () => {
  test('comes whole where a character was cut in two', () => {
    const bytes = Buffer.from('grün\n');
    expect(
      print(
        { vertexes: [{ ...COMPILE, started: 1 }] },
        { logs: [{ vertex: 'c', time: 2, text: bytes.subarray(0, 3) }] },
        { logs: [{ vertex: 'c', time: 3, text: bytes.subarray(3) }] },
      ),
    ).toBe('Step 1/1 : RUN make\ngrün\n');
  });

  test('of two steps at once is never mixed within a line, and headings begin one', () => {
    expect(
      print(
        { vertexes: [{ ...COMPILE, started: 1 }, COPY] },
        { logs: [{ vertex: 'c', time: 2, text: 'half a li' }] },
        { vertexes: [{ ...COPY, started: 3 }] },
        { logs: [{ vertex: 'd', time: 4, text: 'another' }] },
        { logs: [{ vertex: 'c', time: 5, text: 'ne' }] },
      ),
    ).toBe('Step 1/2 : RUN make\nhalf a li\nStep 2/2 : COPY --from=compile /a /\nanother\nne\n');
  });

  test("of the engine's own work is not shown", () => {
    expect(
      print(
        { vertexes: [{ digest: 'i', name: '[internal] load build context', started: 1 }] },
        { logs: [{ vertex: 'i', time: 2, text: 'inner matters\n' }] },
        { logs: [{ vertex: 'never heard of', time: 2, text: 'nothing\n' }] },
      ),
    ).toBe('');
  });

  test('ends with what was left of a character', () => {
    expect(
      print(
        { vertexes: [{ ...COMPILE, started: 1 }] },
        { logs: [{ vertex: 'c', time: 2, text: Uint8Array.of(0x61, 0xc3) }] },
      ),
    ).toBe('Step 1/1 : RUN make\na�\n');
  });
});

test('tells which work failed, by its heading, and whether a registry was asked', () => {
  const progress = createBuildProgress();
  progress.read(report({ vertexes: [{ ...COMPILE, started: 1, completed: 2, error: 'exit code: 7' }] }));
  expect(progress.failure()).toEqual({
    heading: 'Step 1/1 : RUN make',
    message: 'exit code: 7',
    askedRegistry: false,
  });
  const asking = createBuildProgress();
  asking.read(
    report({
      vertexes: [{ digest: 'm', name: '[internal] load metadata for a.example/b:1', error: 'not found' }],
    }),
  );
  expect(asking.failure()).toMatchObject({ askedRegistry: true });
});

test('any bytes are a report or an error, and a report can be shown', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 200 })), (reports) => {
      const progress = createBuildProgress();
      for (const bytes of reports) {
        let decoded: StatusResponse;
        try {
          decoded = statusResponse.decode(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(Error);
          continue;
        }
        expect(Array.isArray(progress.read(decoded))).toBe(true);
      }
      progress.end();
    }),
    { numRuns: 500 },
  );
});
