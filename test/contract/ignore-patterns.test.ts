import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  compilePatterns,
  parseIgnoreFile,
  PatternError,
  type PatternState,
} from '../../src/contract/ignore-patterns.ts';

/** Whether the patterns match a path, asked from its first directory down, as a walk does. */
function matches(patterns: readonly string[], path: string): boolean {
  const matcher = compilePatterns(patterns);
  const names = path.split('/');
  let state: PatternState | null = null;
  for (const index of names.keys()) state = matcher.match(names.slice(0, index + 1).join('/'), state);
  return state?.matched ?? false;
}

// The cases of moby/patternmatcher's own tests that are about one pattern, and names that an older matcher got wrong.
test.each([
  ['**', 'file', true],
  ['**', 'file/', true],
  ['**/', 'dir/file', true],
  ['**/**', 'dir/file', true],
  ['dir/**', 'dir/dir2/file', true],
  ['dir/**', 'dir', false],
  ['**/dir2/*', 'dir/dir2/file', true],
  ['**/dir2/**', 'dir/dir2/dir2/file', true],
  ['**file', 'dir/dir/file', true],
  ['**/file', 'file', true],
  ['**/*.txt', 'dir/file.txt', true],
  ['**/**/*.txt', 'dir/dir/file.txt', true],
  ['a**/*.txt', 'a/dir/file.txt', true],
  ['a/*.txt', 'a/file.txt', true],
  ['a/*.txt', 'a/dir/file.txt', false],
  ['a/*.txt', 'a/dir/file.txt/below', false],
  ['a[b-d]e', 'ace', true],
  ['a[b-d]e', 'aae', false],
  ['a[^b-d]e', 'aze', true],
  ['.*', '.foo', true],
  ['.*', 'foo', false],
  ['abc.def', 'abcdef', false],
  ['abc?def', 'abcZdef', true],
  ['abc?def', 'abc/def', false],
  ['a\\\\', 'a\\', true],
  ['a\\b', 'ab', true],
  ['a\\*b', 'a*b', true],
  ['a\\*b', 'aXb', false],
  ['**/foo/bar', 'foo/bar', true],
  ['abc/**', 'abc', false],
  ['abc/**', 'abc/def', true],
  ['**/.foo', 'bar.foo', false],
  ['a(b)c/def', 'a(b)c/def', true],
  ['a.|)$(}+{bc', 'a.|)$(}+{bc', true],
  [
    'dist/proxy.py-2.4.0rc3.dev36+g08acad9-py3-none-any.whl',
    'dist/proxy.py-2.4.0rc3.dev36+g08acad9-py3-none-any.whl',
    true,
  ],
  ['dist/*.whl', 'dist/proxy.py-2.4.0rc3.dev36+g08acad9-py3-none-any.whl', true],
  ['docs', 'docs/deep/down', true],
  ['/docs/', 'docs', true],
  ['./docs/../lib', 'lib', true],
  ['*', 'constructor', true],
  ['constructor', 'constructor', true],
  ['__proto__', '__proto__', true],
  ['**/*.key', 'new\nline.key', true],
  ['a?c', 'a😀c', true],
  ['SECRET', 'secret', false],
])('%s and %s', (pattern, path, expected) => {
  expect(matches([pattern], path.replace(/\/$/, ''))).toBe(expected);
});

describe('an exception', () => {
  test.each([
    [['*', '!a'], 'a', false],
    [['*', '!a'], 'a/b', false],
    [['*', '!a/b'], 'a/b', false],
    [['*', '!a/b'], 'a/c', true],
    [['!a', '*'], 'a', true],
    [['docs', '!docs/README.md', 'docs/README.md'], 'docs/README.md', true],
    [['**', '!**/*.md'], 'deep/down/a.md', false],
    [['a', '! a'], 'a', false],
  ])('%j and %s', (patterns, path, expected) => {
    expect(matches(patterns, path)).toBe(expected);
  });

  test('makes a walk look into an excluded directory only where it may bring something back', () => {
    const matcher = compilePatterns(['*', '!docs/README.md', '!src/*.ts', '!']);
    expect(matcher.mayMatchBelow('docs', true)).toBe(true);
    expect(matcher.mayMatchBelow('src', true)).toBe(true);
    expect(matcher.mayMatchBelow('node_modules', true)).toBe(false);
    expect(compilePatterns(['*', '!**/*.md']).mayMatchBelow('any/where', true)).toBe(true);
  });
});

test.each(['[', 'a[', '[]', 'a\\', '[z-a]'])('refuses %s, which is no pattern', (pattern) => {
  expect(() => compilePatterns([pattern])).toThrow(PatternError);
});

test('reads the lines of a .dockerignore', () => {
  expect(parseIgnoreFile('\uFEFFone \n# comment\r\n\n  !two\r\n #not a comment\n')).toEqual([
    'one',
    '!two',
    '#not a comment',
  ]);
});

test('a name without special characters matches itself and what is below it, and nothing else', () => {
  const name = fc.stringMatching(/^[^/*?[\\!\s]{1,12}$/).filter((text) => !/^\.+$/.test(text));
  fc.assert(
    fc.property(name, name, (one, other) => {
      expect(matches([one], one)).toBe(true);
      expect(matches([one], `${one}/${other}`)).toBe(true);
      expect(matches([one], other)).toBe(one === other);
    }),
  );
});

test('any text is a pattern or is refused as one', () => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ unit: 'binary' }), { maxLength: 5 }),
      fc.string({ unit: 'binary' }),
      (patterns, path) => {
        try {
          expect(typeof matches(patterns, path)).toBe('boolean');
        } catch (error) {
          expect(error).toBeInstanceOf(PatternError);
        }
      },
    ),
  );
});
