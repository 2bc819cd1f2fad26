import { posix } from 'node:path';

/**
 * The patterns of .dockerignore, and those that BuildKit sends: Go's `filepath.Match` with `**`, a match of a directory
 * standing for all below it, `!` taking back what an earlier pattern matched (moby/patternmatcher). npm's @balena/dockerignore
 * follows an older matcher: it takes `+`, `(`, `{` and `|` for regular expressions, lets names such as `constructor` through,
 * and does not match a name with a newline, so that ignored files would be sent.
 */
export interface PatternMatcher {
  /** Whether there is no pattern at all. */
  readonly empty: boolean;
  /** How the patterns stand to `path`, given how they stand to its directory (null at the root). */
  match(path: string, directory: PatternState | null): PatternState;
  /** Whether a pattern, or with `exceptionsOnly` one with `!`, may match something below `directory`. */
  mayMatchBelow(directory: string, exceptionsOnly: boolean): boolean;
}

export interface PatternState {
  /** Whether the last pattern that matches is one without `!`. */
  readonly matched: boolean;
  /** Of each pattern, whether it matches the path or a directory above it. */
  readonly each: readonly boolean[];
}

interface Pattern {
  readonly exception: boolean;
  readonly expression: RegExp;
  /** What every match begins with. */
  readonly prefix: string;
  /** Whether the prefix is the whole pattern. */
  readonly literal: boolean;
}

/** A pattern that Docker would refuse, too. */
export class PatternError extends Error {
  override readonly name = 'PatternError';
}

/** Compiles patterns, in their order. Throws a {@link PatternError} for one that is not in the language. */
export function compilePatterns(patterns: readonly string[]): PatternMatcher {
  const compiled = patterns.map(compile).filter((pattern) => pattern !== null);
  return {
    empty: compiled.length === 0,
    match(path, directory) {
      let matched = false;
      const each = compiled.map(({ exception, expression }, index) => {
        const matches = directory?.each[index] === true || expression.test(path);
        if (matches) matched = !exception;
        return matches;
      });
      return { matched, each };
    },
    mayMatchBelow(directory, exceptionsOnly) {
      const below = `${directory}/`;
      return compiled.some(
        ({ exception, prefix, literal }) =>
          (exception || !exceptionsOnly) &&
          (prefix.startsWith(below) || (!literal && below.startsWith(prefix))),
      );
    },
  };
}

/** Reads the lines of a .dockerignore file. */
export function parseIgnoreFile(text: string): string[] {
  return text
    .replace(/^\uFEFF/, '')
    .split('\n')
    .filter((line) => !line.startsWith('#'))
    .map((line) => line.trim())
    .filter((line) => line !== '');
}

function compile(text: string): Pattern | null {
  const trimmed = text.trim();
  const exception = trimmed.startsWith('!');
  const pattern = posix
    .normalize(exception ? trimmed.slice(1).trim() : trimmed)
    .replace(/^\/+/, '')
    .replace(/\/+$/, '');
  if (pattern === '' || pattern === '.') return null;
  const special = /[*?[\\]/.exec(pattern);
  return {
    exception,
    expression: new RegExp(`^${translate(pattern)}$`, 'su'),
    prefix: special ? pattern.slice(0, special.index) : pattern,
    literal: special === null,
  };
}

const TOKEN = /\*\*\/?|\*|\?|\[\^?(?:\\.|[^\]\\])+\]|\\.|[^*?[\\]+|./gsu;

function translate(pattern: string): string {
  return pattern.replace(TOKEN, (token, offset: number) => {
    if (token.startsWith('**')) return offset + token.length === pattern.length ? '.*' : '(?:.*/)?';
    if (token === '*') return '[^/]*';
    if (token === '?') return '[^/]';
    if (token.length > 2 && token.startsWith('[')) return translateClass(token, pattern);
    if (token === '[' || token === '\\') throw new PatternError(`syntax error in pattern: ${pattern}`);
    return literally(token.length === 2 && token.startsWith('\\') ? token.slice(1) : token);
  });
}

/** `[a-z]` and `[^a-z]`; a backslash takes the next character as it is. */
function translateClass(token: string, pattern: string): string {
  const negated = token.startsWith('[^');
  const body = token
    .slice(negated ? 2 : 1, -1)
    .replace(/\\(.)|([^\\-])/gsu, (_all, escaped: string | undefined, plain: string | undefined) =>
      literally(escaped ?? plain ?? ''),
    );
  const translated = `[${negated ? '^' : ''}${body}]`;
  try {
    new RegExp(translated, 'su');
  } catch (error) {
    throw new PatternError(`syntax error in pattern: ${pattern}`, { cause: error });
  }
  return translated;
}

/** An expression that matches this text alone. */
function literally(text: string): string {
  return text.replace(
    /[^\p{L}\p{N}]/gu,
    (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  );
}
