import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BuildError } from '../../../src/contract/build-errors.ts';
import { frontendsIn } from '../../../src/worker/engine/buildkit/frontend.ts';
import { imageKey, parseImageName } from '../../../src/worker/source/dockerfile/image-name.ts';
import { readDockerfile } from '../../../src/worker/source/dockerfile/read-dockerfile.ts';
import { substitute } from '../../../src/worker/source/dockerfile/substitute.ts';

const RUNS = { numRuns: 2000 };

/** Pieces of which Dockerfiles are made, and of which wrong ones are. */
const piece = fc.oneof(
  fc.constantFrom(
    ...[
      'FROM ',
      'from\t',
      ' AS ',
      ' as',
      'ARG ',
      'COPY ',
      '--from=',
      'RUN ',
      '--mount=',
      'from=',
      'ONBUILD ',
    ],
    ...['\n', '\r\n', '\\\n', '`\n', '\n\n', ' ', '\t', '#', '# escape=`\n', '# syntax=a/b\n', '\uFEFF'],
    ...['$', '${', '}', ':-', ':+', '"', "'", '\\', '<<EOF', '<<-"X"', '\nEOF\n', '=', ',', '@', ':', '/'],
    ...['a', 'b:1', 'scratch', 'X', 'TARGETARCH', '0', '99', '__proto__', 'constructor', '\0', '\u2028'],
  ),
  fc.string({ unit: 'binary', maxLength: 5 }),
);
const text = fc.array(piece, { maxLength: 40 }).map((pieces) => pieces.join(''));
const options = fc.record({
  buildArgs: fc.dictionary(fc.constantFrom('X', 'a', 'TARGETARCH', '__proto__'), text, { maxKeys: 2 }),
  target: fc.constantFrom('', '0', 'a', 'constructor', '-1'),
});

test('any text has images, or is refused as a Dockerfile', () => {
  fc.assert(
    fc.property(text, options, (dockerfile, given) => {
      try {
        const { base, images } = readDockerfile(dockerfile, 'Dockerfile', given);
        expect(base.reference).not.toBe('');
        for (const image of images) expect(parseImageName(image.reference)).not.toBeNull();
        expect(new Set(images.map(imageKey)).size).toBe(images.length);
      } catch (error) {
        expect(error).toBeInstanceOf(BuildError);
        expect(error).toMatchObject({ code: 'dockerfileissue' });
      }
    }),
    RUNS,
  );
});

const IMAGES = ['busybox', 'node:24', 'quay.io/a/b:1', 'localhost:5000/x/y', 'registry:5000/z:v1'];
const blank = fc.constantFrom(' ', '\t', '  ', ' \\\n  ', ' \\\n# a comment\n ');
const filler = fc.constantFrom(
  '',
  '\n',
  '# FROM nowhere:1\n',
  'RUN echo FROM nowhere:2\n',
  'RUN one \\\n  FROM nowhere:3\n',
  'ENV FROM=nowhere:4\n',
);
const word = (name: string): fc.Arbitrary<string> => fc.constantFrom(name, name.toLowerCase());
const stage = fc.record({
  /** The image that it begins with, or how many stages back. */
  from: fc.oneof(fc.constantFrom(...IMAGES), fc.integer({ min: 1, max: 3 })),
  throughArg: fc.boolean(),
  copies: fc.array(fc.oneof(fc.constantFrom(...IMAGES), fc.integer({ min: 1, max: 3 })), { maxLength: 2 }),
  blanks: fc.tuple(blank, blank, blank),
  words: fc.tuple(word('FROM'), word('AS'), word('COPY')),
  filler,
});

test('of any stages, the images that they begin with and copy from are read', () => {
  fc.assert(
    fc.property(fc.array(stage, { minLength: 1, maxLength: 6 }), (stages) => {
      const args: string[] = [];
      const lines: string[] = [];
      const expected = new Set<string>();
      const bases: string[] = [];
      const keyOf = (name: string): string => {
        const image = parseImageName(name);
        return image ? imageKey(image) : `${name} is none`;
      };
      for (const [number, { from, throughArg, copies, blanks, words, filler: between }] of stages.entries()) {
        const earlier = (back: number): number => Math.max(number - back, 0);
        const isStage = typeof from === 'number' && number > 0;
        const image = typeof from === 'number' ? 'alpine' : from;
        bases.push(isStage ? (bases[earlier(from)] ?? '') : keyOf(image));
        expected.add(bases[number] ?? '');
        if (throughArg && !isStage) args.push(`ARG BASE${number}="${image}"\n`);
        const written = isStage ? `stage${earlier(from)}` : throughArg ? `\${BASE${number}}` : image;
        lines.push(
          `${words[0]}${blanks[0]}${written}${blanks[1]}${words[1]}${blanks[2]}Stage${number}\n`,
          between,
        );
        for (const copy of copies) {
          if (typeof copy === 'string') expected.add(keyOf(copy));
          const source = typeof copy === 'string' ? copy : number > 0 ? String(earlier(copy)) : '';
          if (source !== '') lines.push(`${words[2]} --from=${source} / /\n`);
        }
      }
      const read = readDockerfile(args.join('') + lines.join(''), 'Dockerfile');
      expect(new Set(read.images.map(imageKey))).toEqual(expected);
      expect(imageKey(read.base)).toBe(bases.at(-1));
      expect(read.uncertain).toBe(false);
    }),
    RUNS,
  );
});

test('what is escaped or in single quotes is taken as it is', () => {
  const none = { values: new Map<string, string>(), unknown: new Set<string>() };
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 100 }), fc.constantFrom('\\', '`'), (word, escape) => {
      const escaped = Array.from(word, (char) => escape + char).join('');
      expect(substitute(escaped, none, escape)).toBe(word);
      const plain = word.replaceAll("'", '');
      expect(substitute(`'${plain}'`, none, escape)).toBe(plain);
    }),
    RUNS,
  );
});

test('any value replaces its variable whole, and nothing in it is replaced again', () => {
  fc.assert(
    fc.property(text, text, (value, other) => {
      const variables = { values: new Map([['X', value]]), unknown: new Set<string>() };
      expect(substitute('$X', variables, '\\')).toBe(value);
      expect(substitute('"${X}"', variables, '\\')).toBe(value);
      expect(substitute('a${X:+b}${Y:-$X}', variables, '\\')).toBe(`a${value === '' ? '' : 'b'}${value}`);
      const any = substitute(other, variables, '\\');
      expect(any === null || typeof any === 'string').toBe(true);
    }),
    RUNS,
  );
});

test('any text is the name of an image that reads the same again, or of none', () => {
  const part = fc.oneof(
    fc.constantFrom(
      'a',
      'B',
      'a-b',
      'a..b',
      '_',
      '.',
      ':',
      ':1',
      '/',
      '@',
      `@sha256:${'0'.repeat(64)}`,
      'localhost',
    ),
    fc.string({ maxLength: 3 }),
  );
  fc.assert(
    fc.property(fc.array(part, { maxLength: 8 }), (parts) => {
      const image = parseImageName(parts.join(''));
      if (image === null) return;
      const again = parseImageName(image.reference);
      expect(again && imageKey(again)).toBe(imageKey(image));
      expect(again?.reference).toBe(image.reference);
      expect(again?.registry).toBe(image.registry);
    }),
    RUNS,
  );
});

test('any text has frontends or none, and the one that it begins with is always seen', () => {
  fc.assert(
    fc.property(text, fc.constantFrom('#', '# ', '//', '  # '), word('SYNTAX'), (rest, comment, name) => {
      expect(frontendsIn(rest).every((each) => typeof each === 'string')).toBe(true);
      expect(frontendsIn(`${comment}${name}=corp/evil:1\n${rest}`)).toContain('corp/evil:1');
    }),
    RUNS,
  );
});
