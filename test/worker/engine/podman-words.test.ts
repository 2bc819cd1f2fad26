import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseStepHeading } from '../../../src/contract/log-messages.ts';
import { createStepReader, podmanFailure } from '../../../src/worker/engine/classic/podman.ts';
import { makeContext } from './support.ts';

/** What Podman prints, and its errors, whatever they hold. */

async function readerOf(dockerfile: string, labels: Record<string, string> = {}) {
  await using context = await makeContext({ Dockerfile: dockerfile });
  return await createStepReader({ dockerfile: `${context.path}/Dockerfile`, labels });
}

test('steps are counted over all stages, with those that ONBUILD adds, and others are left as they are', async () => {
  const read = await readerOf('ARG X=1\nFROM a AS one\nRUN x\nFROM b\nRUN y\n', { team: 'blue' });
  expect(
    [
      '[1/2] STEP 1/2: FROM a AS one\n',
      '[1/2] STEP 2/3: RUN triggered\n',
      '[1/2] STEP 3/3: RUN x\n',
      '--> Using cache 0123456789abcdef\n',
      '[2/2] STEP 1/3: FROM b\n',
      'STEP 9/9: printed by a step, without its newline',
      '[3/2] STEP 1/1: FROM c\n',
      '[2/2] STEP 3/3: LABEL "team"="blue"\n',
    ].map(read),
  ).toEqual([
    'Step 1/5 : FROM a AS one\n',
    'Step 2/6 : RUN triggered\n',
    'Step 3/6 : RUN x\n',
    ' ---> Using cache\n',
    'Step 4/6 : FROM b\n',
    'STEP 9/9: printed by a step, without its newline',
    '[3/2] STEP 1/1: FROM c\n',
    'Step 6/6 : LABEL "team"="blue"\n',
  ]);
});

test('a Dockerfile that cannot be read leaves the headings as they are', async () => {
  const read = await createStepReader({ dockerfile: '/nowhere/Dockerfile', labels: {} });
  expect(read('STEP 1/2: FROM a\n')).toBe('STEP 1/2: FROM a\n');
});

test('any text that is printed is a heading or stays as it is', async () => {
  const number = fc.oneof(fc.nat(5), fc.nat()).map(String);
  const printed = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc
      .tuple(number, number, number, number, fc.string({ unit: 'binary' }), fc.constantFrom('\n', ''))
      .map(([i, n, k, m, rest, end]) => `[${i}/${n}] STEP ${k}/${m}: ${rest}${end}`),
  );
  const read = await readerOf('FROM a\nFROM b\nFROM c\n');
  fc.assert(
    fc.property(printed, (text) => {
      const line = read(text);
      if (line !== text && line !== ' ---> Using cache\n') expect(parseStepHeading(line)).not.toBeNull();
    }),
    { numRuns: 2000 },
  );
});

test('any error has a kind, and no path of the engine', () => {
  const piece = fc.oneof(
    fc.constantFrom(
      ...[
        'building at STEP "',
        'RUN ',
        '": ',
        'Build error: Unknown instruction: ',
        'stat ',
        ': no such file or directory',
      ],
      ...['/var/tmp/libpod_builder123/build/', 'manifest unknown', 'denied: ', '"', '\n', ' '],
    ),
    fc.string({ maxLength: 5 }),
  );
  fc.assert(
    fc.property(fc.array(piece), fc.constantFrom(null, 'FROM a', 'RUN x'), (pieces, instruction) => {
      const { kind, message } = podmanFailure(pieces.join(''), instruction);
      expect(['denied', 'not-found', 'dockerfile', 'failed']).toContain(kind);
      expect(message).not.toContain('libpod_builder123/build');
    }),
    { numRuns: 2000 },
  );
});

test('the path of a context is taken out of a long error soon', () => {
  const message = `stat ${'/x'.repeat(500_000)}/libpod_builder1/build/file: gone, ${'/y'.repeat(500_000)}`;
  expect(podmanFailure(message, null).message).toBe(`stat file: gone, ${'/y'.repeat(500_000)}`);
});

test('a step cannot pass for a Dockerfile that is wrong', () => {
  const message =
    'building at STEP "RUN echo Build error: Unknown instruction: x": while running runtime: exit status 1';
  expect(podmanFailure(message, 'RUN echo')).toEqual({ kind: 'failed', message });
  expect(
    podmanFailure('building at STEP "FETCH ": Build error: Unknown instruction: "FETCH" &{}', 'FETCH it'),
  ).toEqual({
    kind: 'dockerfile',
    message: 'unknown instruction: FETCH',
  });
});
