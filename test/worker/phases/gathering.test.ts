import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Clock } from '../../../src/worker/clock.ts';
import { GATHER_CHARACTERS } from '../../../src/worker/limits.ts';
import { createGathering } from '../../../src/worker/phases/gathering.ts';

/** A clock whose time comes when it is told so. */
function manualClock(): Clock & { pass(): void } {
  let waiting: (() => void)[] = [];
  return {
    now: () => 0,
    after: (_ms, callback) => {
      waiting.push(callback);
      return () => (waiting = waiting.filter((each) => each !== callback));
    },
    pass: () => {
      for (const callback of waiting.splice(0)) callback();
    },
  };
}

function record(): {
  readonly told: [string | undefined, string][];
  readonly deliver: Parameters<typeof createGathering>[0];
} {
  const told: [string | undefined, string][] = [];
  return {
    told,
    deliver: (id, text) => {
      told.push([id, text]);
      return Promise.resolve();
    },
  };
}

describe('output that is gathered', () => {
  it('goes as one piece after a moment, and apart from that of another step', async () => {
    const clock = manualClock();
    const { told, deliver } = record();
    const gathering = createGathering(deliver, clock);
    await gathering.push(undefined, 'one ');
    await gathering.push(undefined, 'line\n');
    expect(told).toEqual([]);
    clock.pass();
    await gathering.push('b', 'other\n');
    await gathering.flush();
    expect(told).toEqual([
      [undefined, 'one line\n'],
      ['b', 'other\n'],
    ]);
  });

  it('goes at once when it is enough, and lets the next wait until it is delivered', async () => {
    const delivered = Promise.withResolvers<undefined>();
    const told: string[] = [];
    const gathering = createGathering(async (_id, text) => {
      await delivered.promise;
      told.push(text);
    }, manualClock());
    const full = gathering.push(undefined, 'x'.repeat(GATHER_CHARACTERS));
    const next = gathering.push(undefined, 'y').then(() => told.length);
    delivered.resolve(undefined);
    await full;
    expect(await next).toBe(1);
    await gathering.flush();
    expect(told.at(-1)).toBe('y');
  });

  it('loses nothing and keeps the order of each step, whoever pushes beside whom', async () => {
    const piece = fc.record({ id: fc.constantFrom(undefined, 'a', 'b'), text: fc.string() });
    await fc.assert(
      fc.asyncProperty(fc.array(piece), async (pieces) => {
        const { told, deliver } = record();
        const gathering = createGathering(deliver, manualClock());
        await Promise.all(pieces.map(({ id, text }) => gathering.push(id, text)));
        await gathering.flush();
        for (const id of [undefined, 'a', 'b']) {
          const textOf = (all: readonly [string | undefined, string][]): string =>
            all.flatMap(([of, text]) => (of === id ? [text] : [])).join('');
          expect(textOf(told)).toBe(textOf(pieces.map((each) => [each.id, each.text])));
        }
      }),
    );
  });

  it('throws what its delivery threw', async () => {
    const gathering = createGathering(() => Promise.reject(new Error('no')), manualClock());
    await gathering.push(undefined, 'text');
    await expect(gathering.flush()).rejects.toThrow('no');
  });
});
