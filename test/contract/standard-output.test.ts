import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';

/** The programs, in a pipe whose other end goes away, and on a full disk. */

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'quay-output-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

interface End {
  readonly code: unknown;
  readonly stderr: string;
}

/** Runs a program of `src`; `redirect` says, to the shell, where its standard output goes. */
async function run(program: string, args: readonly string[], redirect = ''): Promise<End> {
  const main = fileURLToPath(new URL(`../../src/${program}/main.ts`, import.meta.url));
  const child = spawn('sh', ['-c', `exec "$0" "$@" ${redirect}`, process.execPath, main, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env['PATH'],
      WORK_DIR: directory,
      SERVER: 'ws://127.0.0.1:9',
      DOCKER_HOST: `unix://${directory}/no-engine.sock`,
    },
  });
  // Long before it has anything to print.
  child.stdout.destroy();
  const [stderr, [code]] = await Promise.all([
    text(child.stderr),
    once(child, 'close') as Promise<[unknown]>,
  ]);
  return { code, stderr };
}

it.each([
  ['quay-build-manager --help', 'manager', ['--help'], 0],
  ['quay-builder --help', 'worker', ['--help'], 0],
  // It has found what is missing all the same.
  ['quay-builder doctor', 'worker', ['doctor'], 1],
  ['quay-build --help', 'cli', ['--help'], 0],
] as const)('%s ends quietly when nobody reads it', async (_line, program, args, code) => {
  expect(await run(program, args)).toEqual({ code, stderr: '' });
});

it.each([
  ['quay-build-manager', 'manager'],
  ['quay-builder', 'worker'],
  ['quay-build', 'cli'],
] as const)('%s says so when its output cannot be written', async (_name, program) => {
  expect(await run(program, ['--help'], '> /dev/full')).toEqual({
    code: 70,
    stderr: expect.stringMatching(/^The output cannot be written: ENOSPC.*\.\nCheck .*\.\n$/) as string,
  });
});
