import fc from 'fast-check';
import { expect, it } from 'vitest';
import { PIECE_MAX } from '../../../src/worker/limits.ts';
import { splitOutput } from '../../../src/worker/phases/pieces.ts';

it('makes a piece of each heading of a step', () => {
  const text = 'Step 1/3 : FROM scratch\n ---> Using cache\nStep 2/3 : COPY . .\nStep 3/3 : RUN true\nout\n';
  expect(splitOutput(text)).toEqual([
    'Step 1/3 : FROM scratch\n',
    ' ---> Using cache\n',
    'Step 2/3 : COPY . .\n',
    'Step 3/3 : RUN true\n',
    'out\n',
  ]);
});

it('loses nothing, and makes no piece larger than it may be, unless one line is', () => {
  const line = fc.string({ maxLength: 6000 }).map((text) => text.replaceAll('\n', ''));
  fc.assert(
    fc.property(fc.array(line, { maxLength: 30 }), (lines) => {
      const text = lines.map((each) => `${each}\n`).join('');
      const pieces = splitOutput(text);
      expect(pieces.join('')).toBe(text);
      for (const piece of pieces) expect(piece.length).toBeLessThanOrEqual(PIECE_MAX);
    }),
  );
});
