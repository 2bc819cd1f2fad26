import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { buildArgumentsSchema } from '../../src/contract/build-arguments.ts';
import { createMasker, MASK, secretsOf } from '../../src/contract/masking.ts';
import { createSecretKeeper } from '../../src/worker/secrets.ts';
import { someBuild } from './harness.ts';

/** Few letters, so that secrets overlap, repeat and end in each other's beginnings. */
const secret = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 3, maxLength: 8 });
const pieceOf = (secrets: readonly string[]): fc.Arbitrary<string> =>
  fc.oneof(
    fc.constantFrom(...secrets),
    fc.string({ unit: fc.constantFrom('a', 'b', 'c', 'd', '\n', ':', '/', '@') }),
  );
const secretsAndText = fc
  .array(secret, { minLength: 1, maxLength: 4 })
  .chain((secrets) => fc.tuple(fc.constant(secrets), fc.array(pieceOf(secrets), { maxLength: 20 })));

describe('a masked stream', () => {
  it('never lets a secret through, wherever the text is cut', () => {
    fc.assert(
      fc.property(secretsAndText, ([secrets, pieces]) => {
        const stream = createMasker(secrets).stream();
        const masked = pieces.map((piece) => stream.push(piece)).join('') + stream.end();
        for (const each of secrets) expect(masked).not.toContain(each);
      }),
    );
  });

  it('says the same however the text is cut', () => {
    fc.assert(
      fc.property(secretsAndText, ([secrets, pieces]) => {
        const masker = createMasker(secrets);
        const stream = masker.stream();
        const masked = pieces.map((piece) => stream.push(piece)).join('') + stream.end();
        expect(masked).toBe(masker.mask(pieces.join('')));
      }),
    );
  });

  it('shows nothing of a text before it is known to be no secret, and never more than was said', () => {
    fc.assert(
      fc.property(secretsAndText, ([secrets, pieces]) => {
        const masker = createMasker(secrets);
        const stream = masker.stream();
        let shown = '';
        for (const piece of pieces) {
          shown += stream.push(piece);
          for (const each of secrets) expect(shown).not.toContain(each);
        }
      }),
    );
  });

  it('holds nothing back at the end of a line', () => {
    const stream = createMasker(['secret']).stream();
    expect(stream.push('a se')).toBe('a ');
    expect(stream.push('ed\n')).toBe('seed\n');
    expect(stream.push('the sec')).toBe('the ');
    expect(stream.push('ret\n')).toBe(`${MASK}\n`);
  });
});

describe('mask', () => {
  it('hides the userinfo of any URL, known or not', () => {
    const masker = createMasker([]);
    expect(masker.mask('fetch https://me:pw@git.example/a and ssh://git@host/b')).toBe(
      `fetch https://${MASK}@git.example/a and ssh://${MASK}@host/b`,
    );
    expect(masker.mask('http://host:80/a@b, mail a@b')).toBe('http://host:80/a@b, mail a@b');
  });

  it('leaves values alone that are too short to be told from ordinary words', () => {
    expect(createMasker(['a', 'no']).mask('banana, no')).toBe('banana, no');
  });
});

describe('secretsOf', () => {
  it('finds every secret of a build, as it may be printed', () => {
    const build = buildArgumentsSchema.parse({
      ...someBuild,
      build_package: 'https://store.example/p?signature=SIG%20NATURE',
      base_image: { username: 'me', password: 'p@ss "word"' },
      registry_auth: { 'docker.io': { username: 'me', password: 'hub-password' } },
      git: {
        url: 'https://x-access-token:GIT%2DTOKEN@git.example/a.git',
        sha: 'abc',
        private_key: '-----BEGIN KEY-----\nKEYLINE1\r\nKEYLINE2\n-----END KEY-----\n',
      },
      ssh: { default: '-----BEGIN PRIVATE KEY-----\nKEYLINE3\n-----END PRIVATE KEY-----\n' },
    });
    const shown = createMasker(secretsOf(build)).mask(
      [
        'PULL-TOKEN-0123456789 PUSH-TOKEN-0123456789 hub-password signature=SIG%20NATURE',
        'p@ss "word" p%40ss%20%22word%22 p@ss \\"word\\" GIT-TOKEN GIT%2DTOKEN',
        '-----BEGIN KEY-----\nKEYLINE1\nKEYLINE2 KEYLINE3',
      ].join('\n'),
    );
    expect(shown).toBe(
      ['*** *** *** ***', '*** *** *** *** ***', '-----BEGIN KEY-----\n***\n*** ***'].join('\n'),
    );
  });

  it('takes no login of ssh for a secret', () => {
    const git = { url: 'ssh://git@git.example/a.git', sha: 'abc' };
    expect(secretsOf(buildArgumentsSchema.parse({ ...someBuild, git }))).not.toContain('git');
  });
});

describe('the secret keeper', () => {
  it('hides values while they are kept', () => {
    const keeper = createSecretKeeper();
    const release = keeper.keep(['first-secret']);
    keeper.keep(['second "secret"']);
    expect(keeper.mask('first-secret second \\"secret\\"')).toBe('*** ***');
    release();
    expect(keeper.mask('first-secret second "secret"')).toBe('first-secret ***');
  });
});
