import { readFile, stat } from 'node:fs/promises';
import { join, posix } from 'node:path';
import {
  compilePatterns,
  parseIgnoreFile,
  PatternError,
  type PatternMatcher,
  type PatternState,
} from '../../contract/ignore-patterns.ts';
import { CliError, exitCodes } from '../failure.ts';
import { DOCKERIGNORE_MAX } from '../limits.ts';

/** Which files of a build context are left out, as Docker does it. */
export interface IgnoreRules {
  /** How a path, relative to the context and with `/`, stands, given how its folder stands (null at the root). */
  look(
    path: string,
    folder: PatternState | null,
  ): { readonly ignored: boolean; readonly state: PatternState };
  /** Whether something below an ignored folder may be kept all the same. */
  mayKeepBelow(folder: string): boolean;
}

/**
 * Reads the ignore file of a context: `DOCKERFILE.dockerignore` where there is one, else `.dockerignore`, as Docker does. The
 * Dockerfile and the ignore file themselves are always sent: the worker reads them.
 */
export async function readIgnoreRules(context: string, dockerfile: string): Promise<IgnoreRules> {
  const file = posix.normalize(dockerfile === '' ? 'Dockerfile' : dockerfile);
  const names = [`${file}.dockerignore`, '.dockerignore'];
  const kept = [file, ...names];
  let matcher = compilePatterns([]);
  for (const name of names) {
    const text = await readIfThere(join(context, name));
    if (text === null) continue;
    matcher = compile(text, name);
    break;
  }
  return {
    look(path, folder) {
      const state = matcher.match(path, folder);
      return { ignored: state.matched && !kept.includes(path), state };
    },
    mayKeepBelow: (folder) =>
      matcher.mayMatchBelow(folder, true) || kept.some((path) => path.startsWith(`${folder}/`)),
  };
}

function compile(text: string, name: string): PatternMatcher {
  try {
    return compilePatterns(parseIgnoreFile(text));
  } catch (error) {
    if (!(error instanceof PatternError)) throw error;
    throw new CliError(exitCodes.usage, `${name}: ${error.message}`, 'Mend the pattern.', { cause: error });
  }
}

async function readIfThere(path: string): Promise<string | null> {
  try {
    if ((await stat(path)).size > DOCKERIGNORE_MAX) {
      throw new CliError(exitCodes.usage, `${path} is larger than ${DOCKERIGNORE_MAX} bytes.`);
    }
    return await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof CliError) throw error;
    return null;
  }
}
