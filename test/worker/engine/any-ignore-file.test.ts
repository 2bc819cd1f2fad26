import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startEngine, type LabEngine } from '../../../lab/engine.ts';
import { PatternError, parseIgnoreFile } from '../../../src/contract/ignore-patterns.ts';
import { walkContext } from '../../../src/worker/engine/context/walk.ts';
import { collect, makeContext } from './support.ts';

/** What is sent under any .dockerignore, against what Docker's own command line sends. */

let docker: LabEngine;
beforeAll(async () => {
  docker = await startEngine();
});
afterAll(() => docker.stop());

const NAMES = [
  'a',
  'b.md',
  'ab',
  '.hidden',
  '[x]',
  'ü',
  'd/a',
  'd/b.md',
  'd/e/a',
  'd/e/f/b.md',
  'd/.hidden/a',
];

// Neither `[` without its `]` nor `+`, which the matcher of Docker 20.10 takes for parts of regular expressions, nor `\` at an end.
const segment = fc.constantFrom(
  ...['a', 'b.md', 'd', 'e', 'f', '*', '**', '?', '*.md', '[a-b]', '[^a]', '\\[x]', '.hidden', '.*', 'ü'],
  ...['**b.md', 'a*', '.', '..', ''],
);
const line = fc
  .tuple(
    fc.constantFrom('', '', '', '!', '! ', '/', '#', ' '),
    fc.array(segment, { minLength: 1, maxLength: 4 }).map((segments) => segments.join('/')),
    fc.constantFrom('', '', '/', ' ', '\r'),
  )
  .map((parts) => parts.join(''));
// What Docker 20.10 reads otherwise than a later one, as which the worker reads it: of a folder that `**/` names it sends what is below,
// where an exception names it, too; and it looks into no folder that is left out for an exception whose wildcard stands for that folder.
const isReadOtherwise = (text: string): boolean =>
  (/^!/m.test(text) && text.includes('**/')) || /^!.*[*?[\\].*\//m.test(text);
const ignoreFile = fc
  .array(line, { minLength: 1, maxLength: 5 })
  .map((lines) => lines.join('\n'))
  .filter((text) => !isReadOtherwise(text));

/** The files that Docker's command line sends, or null when it refuses to. */
async function sentByDocker(context: string): Promise<string[] | null> {
  const output = await mkdtemp(join(tmpdir(), 'engine-ignore-'));
  try {
    await docker.docker(['build', '--quiet', '--output', output, context], { env: { DOCKER_BUILDKIT: '1' } });
    const found = await readdir(output, { recursive: true, withFileTypes: true });
    return found
      .filter((entry) => entry.isFile())
      .map((entry) => relative(output, join(entry.parentPath, entry.name)))
      .toSorted();
  } catch {
    return null;
  } finally {
    await rm(output, { recursive: true });
  }
}

async function sentByUs(context: string, text: string): Promise<string[] | null> {
  try {
    const exclude = parseIgnoreFile(text);
    const entries = await collect(walkContext(context, { include: [], exclude, follow: [] }));
    return entries
      .filter(({ kind }) => kind === 'file')
      .map(({ path }) => path.toString('utf8'))
      .toSorted();
  } catch (error) {
    if (error instanceof PatternError) return null;
    throw error;
  }
}

test('the same files are sent', async () => {
  await using context = await makeContext({
    Dockerfile: 'FROM scratch\nCOPY . /\n',
    ...Object.fromEntries(NAMES.map((name) => [name, name])),
  });
  await fc.assert(
    fc.asyncProperty(ignoreFile, async (text) => {
      await writeFile(join(context.path, '.dockerignore'), text);
      const expected = await sentByDocker(context.path);
      // What it refuses without a need, as an exception from nothing, may be taken here.
      if (expected !== null) expect(await sentByUs(context.path, text)).toEqual(expected);
    }),
    // The same files each time: Docker may have more ways of its own.
    { numRuns: 15, seed: 2 },
  );
});
