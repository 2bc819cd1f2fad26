import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { EngineMessage } from '../../../src/contract/log-messages.ts';
import { LINE_MAX } from '../../../src/worker/limits.ts';
import { createLineCutter } from '../../../src/worker/phases/long-lines.ts';
import { createProgressFilter } from '../../../src/worker/phases/progress.ts';

const MB = 1_000_000;

describe('progress', () => {
  const push = (current: number, status = 'Pushing', id = 'layer'): EngineMessage => ({
    id,
    status,
    progressDetail: { current, total: 100 * MB },
  });
  function filterAt(): { time: { ms: number }; passes: (message: EngineMessage) => boolean } {
    const time = { ms: 0 };
    return { time, passes: createProgressFilter({ now: () => time.ms, after: () => () => undefined }) };
  }

  it('passes once per 10 MB of a layer', () => {
    const { passes } = filterAt();
    const passed = Array.from({ length: 101 }, (_, mb) => passes(push(mb * MB))).filter(Boolean);
    expect(passed).toHaveLength(11);
  });

  it('passes once per second of a slow layer, and not when nothing moved', () => {
    const { time, passes } = filterAt();
    expect(passes(push(1))).toBe(true);
    time.ms = 999;
    expect(passes(push(2))).toBe(false);
    time.ms = 1000;
    expect(passes(push(3))).toBe(true);
    time.ms = 5000;
    expect(passes(push(3))).toBe(false);
  });

  it('passes every change of status, in order, layer by layer', () => {
    const { passes } = filterAt();
    const said = [
      push(0, 'Preparing', 'a'),
      push(0, 'Preparing', 'b'),
      push(0, 'Preparing', 'a'),
      push(1, 'Pushing', 'a'),
      push(1, 'Pushed', 'a'),
      push(1, 'Pushing', 'b'),
    ].filter(passes);
    expect(said.map(({ id, status }) => [id, status])).toEqual([
      ['a', 'Preparing'],
      ['b', 'Preparing'],
      ['a', 'Pushing'],
      ['a', 'Pushed'],
      ['b', 'Pushing'],
    ]);
  });

  it('passes what is no progress', () => {
    const { passes } = filterAt();
    const line = { stream: 'hello\n' };
    const status = { status: 'The push refers to repository' };
    expect([line, line, status, status].every(passes)).toBe(true);
  });
});

describe('long lines', () => {
  it('are cut with a mark, once, wherever the text is cut', () => {
    const text = `short\n${'x'.repeat(3 * LINE_MAX)}\nafter\r\n`;
    const expected = `short\n${'x'.repeat(LINE_MAX)} …[line cut after ${LINE_MAX} characters]\nafter\r\n`;
    fc.assert(
      fc.property(fc.array(fc.nat(text.length), { maxLength: 6 }), (cuts) => {
        const cut = createLineCutter();
        const at = [0, ...cuts.sort((a, b) => a - b), text.length];
        const pieces = at.slice(1).map((end, index) => text.slice(at[index], end));
        expect(pieces.map(cut).join('')).toBe(expected);
      }),
    );
  });

  it('are let through as they are up to the limit', () => {
    const cut = createLineCutter();
    expect(cut('x'.repeat(LINE_MAX)) + cut('\n')).toBe(`${'x'.repeat(LINE_MAX)}\n`);
  });
});
