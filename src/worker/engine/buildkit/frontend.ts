import { readFile } from 'node:fs/promises';
import { EngineError, type ImageBuild } from '../engine.ts';

/** Which frontend images may be run: names, of which any tag will do, or a name with its tag or digest; `any` allows all. */
export type AllowedFrontends = readonly string[] | 'any';

/** Docker's own: the stable one, and what it is made of. */
export const DOCKER_FRONTENDS: AllowedFrontends = ['docker/dockerfile', 'docker/dockerfile-upstream'];

/**
 * Throws an EngineError `dockerfile` when a Dockerfile, or a build argument, has BuildKit pull and run a frontend image that is not
 * allowed: a program that reads the Dockerfile in the engine's name, before any step.
 */
export async function demandAllowedFrontend(
  { dockerfile, buildArgs }: Pick<ImageBuild, 'dockerfile' | 'buildArgs'>,
  allowed: AllowedFrontends,
): Promise<void> {
  // A Dockerfile that cannot be read here cannot be sent either, and the engine says so.
  const text = await readFile(dockerfile, 'utf8').catch(() => '');
  const fromArgument = buildArgs['BUILDKIT_SYNTAX'] ?? '';
  const named = [...frontendsIn(text), ...(fromArgument === '' ? [] : [imageOf(fromArgument)])];
  const refused = named.find((image) => !isAllowed(image, allowed));
  if (refused === undefined) return;
  const words = allowed === 'any' || allowed.length === 0 ? 'none' : allowed.join(', ');
  throw new EngineError(
    'dockerfile',
    `The frontend ${JSON.stringify(refused.slice(0, 300))} (# syntax=, BUILDKIT_SYNTAX) is not one that this worker runs. It runs: ${words} (FRONTENDS).`,
  );
}

/** As BuildKit splits them: what follows the image is given to it. */
function imageOf(value: string): string {
  return value.trim().split(' ', 1)[0] ?? '';
}

/**
 * The frontends that some version of BuildKit finds in a Dockerfile: in the directives at its top (Dockerfile reference, "Parser
 * directives"), written with # or, as newer ones take it, with //, or in a file of JSON.
 */
export function frontendsIn(text: string): string[] {
  const found = ['#', '//'].flatMap((comment) => directivesIn(text, comment));
  return [...found, ...valuesInJson(text)].map(imageOf);
}

function directivesIn(text: string, comment: string): string[] {
  // With the flag s: Go's dot takes what JavaScript counts as the end of a line.
  const directive = new RegExp(`^\\s*${comment}\\s*([a-zA-Z][a-zA-Z0-9]*)\\s*=\\s*(.+?)\\s*$`, 's');
  const values: string[] = [];
  for (const line of text
    .replace(/^\uFEFF/, '')
    .replace(/^#![^\n]*\n/, '')
    .split('\n')) {
    const [, name, value = ''] = directive.exec(line) ?? [];
    if (name === undefined) break;
    if (name.toLowerCase() === 'syntax') values.push(value);
  }
  return values;
}

function valuesInJson(text: string): string[] {
  if (!/^\s*\{/.test(text)) return [];
  try {
    const parsed: unknown = JSON.parse(text.replace(/^\uFEFF/, ''));
    return Object.entries(parsed ?? {}).flatMap(([name, value]: [string, unknown]) =>
      name.toLowerCase() === 'syntax' && typeof value === 'string' ? [value] : [],
    );
  } catch {
    return [];
  }
}

function isAllowed(image: string, allowed: AllowedFrontends): boolean {
  if (allowed === 'any') return true;
  const short = shortName(image);
  return allowed.map(shortName).some((entry) => {
    const rest = short.startsWith(entry) ? short.slice(entry.length) : null;
    return rest !== null && /^(?:[:@][^/]*)?$/.test(rest);
  });
}

function shortName(image: string): string {
  return image.replace(/^(?:index\.)?docker\.io\//, '');
}
