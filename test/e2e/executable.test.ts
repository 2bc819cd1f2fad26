import { link, mkdtemp, readFile, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { makeBareRoot } from '../../lab/bare-root.ts';
import { folderPrefix } from '../../lab/orphans.ts';
import { run, startProcess } from '../../lab/process.ts';
import type { Build } from '../../src/contract/api.ts';
import { ended, startE2e, submit, type E2e } from './support.ts';

/** The worker as one file, where there is nothing else: in a root folder, and in an image, that hold it and its libraries alone. */

const MAKE = resolve(import.meta.dirname, '../../scripts/executable.ts');
const IMAGE = 'executable';

let directory: string;
let root: string;
let e2e: E2e;
beforeAll(async () => {
  directory = await mkdtemp(`${folderPrefix()}executable-`);
  root = join(directory, 'root');
  const executable = join(directory, 'quay-builder');
  [e2e] = await Promise.all([
    startE2e({
      registryAuth: 'open',
      executors: ({ dockerHost, socket }) => [
        {
          name: 'files',
          type: 'container',
          capacity: 1,
          // The others are for the worker that is connected.
          namespaces: ['hosted'],
          image: IMAGE,
          engine: dockerHost,
          socket,
          network: 'host',
        },
      ],
    }),
    run(process.execPath, [MAKE, 'worker', executable]),
  ]);
  await makeBareRoot(root, executable);
});
afterAll(async () => {
  await e2e[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

/** Runs the executable in its bare root; answers with what it printed, and how it ended. */
async function inRoot(
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<{ code: number; text: string }> {
  await using program = startProcess('/usr/sbin/chroot', [root, '/quay-builder', ...args], { env });
  const code = await program.exited;
  return { code, text: program.output() };
}

async function build(repository: string): Promise<Build> {
  const dockerfile = new TextEncoder().encode('FROM busybox:stable\nRUN echo built\n');
  const { id } = await submit(e2e.farm, { repository }, dockerfile);
  return ended(e2e.farm, id);
}

it('answers on a machine that has its libraries alone', async () => {
  const packageFile = await readFile(resolve(import.meta.dirname, '../../package.json'), 'utf8');
  const { version } = JSON.parse(packageFile) as { version: string };
  expect(await inRoot(['--version'])).toEqual({ code: 0, text: `${version}\n` });
  expect((await inRoot(['--help'])).text).toMatch(/^Usage: quay-builder /);
  expect(await readFile(join(directory, 'quay-builder.licenses'), 'utf8')).toMatch(/^Node \d/m);
  expect(await inRoot(['--such'])).toMatchObject({
    code: 64,
    text: expect.stringContaining("'--such'") as string,
  });
});

it('finds with doctor what such a machine lacks', async () => {
  const { code, text } = await inRoot(['doctor'], { SERVER: e2e.farm.wampUrl, WORK_DIR: '/tmp/doctor' });
  expect(code).toBe(1);
  expect(text).toContain('FAIL  git');
  expect(text).toContain('ok    manager');
});

it('is started for one build, in an image of nothing else', async () => {
  await run('/bin/sh', [
    '-c',
    `tar -C "$0" -c . | docker --host "$1" import --change 'ENTRYPOINT ["/quay-builder"]' - "$2"`,
    root,
    e2e.engine.dockerHost,
    IMAGE,
  ]);
  expect(await build('hosted/app')).toMatchObject({ state: 'complete' });
});

it('builds for ever, as an enterprise worker', async () => {
  await link(e2e.engine.socket, join(root, 'engine.sock'));
  await using worker = startProcess('/usr/sbin/chroot', [root, '/quay-builder'], {
    env: {
      ENDPOINT: e2e.farm.wampUrl,
      DOCKER_HOST: 'unix:///engine.sock',
      WORK_DIR: '/tmp/work',
      WORKER_ID: 'one-file',
      LOG_FORMAT: 'json',
    },
  });
  await worker.printed(/worker is ready/);
  expect(await build('team/app')).toMatchObject({ state: 'complete', tries: [{ worker: 'one-file/0' }] });
  worker.kill('SIGTERM');
  expect(await worker.exited).toBe(0);
});
