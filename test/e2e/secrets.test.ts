import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { buildSchema } from '../../src/contract/api.ts';
import {
  commandLines,
  followUntil,
  logOf,
  placesOf,
  quayBuild,
  startE2e,
  submit,
  type E2e,
} from './support.ts';

/** Secrets of a build reach the step that mounts them, and nothing else. */

const FROM_FILE = 'TOKEN-of-a-file-4b7f0d';
const FROM_ENVIRONMENT = 'TOKEN-of-the-environment-99ac31';
const VALUES = [FROM_FILE, FROM_ENVIRONMENT];

let e2e: E2e;
beforeAll(async () => {
  e2e = await startE2e({ registryAuth: 'open' });
});
afterAll(() => e2e[Symbol.asyncDispose]());

const DOCKERFILE = `FROM busybox:stable
RUN --mount=type=secret,id=npmrc --mount=type=secret,id=word \\
  cat /run/secrets/npmrc /run/secrets/word; echo; wc -c < /run/secrets/npmrc > /size; echo $(cat /run/secrets/word | wc -c) >> /size
`;

it('reach their step from a file and from the environment, and are in no layer, log, answer or database file', async () => {
  const { farm, engine, directory } = e2e;
  const worker = await farm.startWorker(engine);
  const folder = join(directory, 'app');
  await mkdir(folder);
  await writeFile(join(folder, 'Dockerfile'), DOCKERFILE);
  await writeFile(join(directory, 'npmrc'), `_authToken=${FROM_FILE}\n`);
  const { code, stdout, stderr } = await quayBuild(
    { ...farm, cliEnv: { ...farm.cliEnv, WORD: FROM_ENVIRONMENT } },
    [
      ...['submit', folder, '--repository', 'team/app', '--json'],
      ...['--secret', `id=npmrc,src=${join(directory, 'npmrc')}`, '--secret', 'id=word,env=WORD'],
    ],
  );
  expect(code, stderr).toBe(0);
  const build = buildSchema.parse(JSON.parse(stdout));

  const pushed = `${farm.registry.host}/team/app:latest`;
  const sizes = await engine.docker(['run', '--rm', '--network', 'none', pushed, 'cat', '/size']);
  expect(sizes.trim().split('\n')).toEqual([String(FROM_FILE.length + 12), String(FROM_ENVIRONMENT.length)]);
  const saved = join(directory, 'saved.tar');
  await engine.docker(['save', '--output', saved, pushed]);
  const log = await logOf(farm, build.id);
  expect(log).toContain('***');
  const seen = { layers: await readFile(saved, 'latin1'), log, answer: stdout + stderr };
  expect(await placesOf(VALUES, e2e, worker, seen)).toEqual([]);
  await worker.stop();
});

it('stand in no command line while their step runs', async () => {
  const { farm, engine } = e2e;
  const worker = await farm.startWorker(engine);
  const { id } = await submit(
    farm,
    { repository: 'team/app', secrets: { word: FROM_ENVIRONMENT } },
    new TextEncoder().encode(
      'FROM busybox:stable\nRUN --mount=type=secret,id=word echo "$(wc -c < /run/secrets/word) bytes"; sleep 600\n',
    ),
  );
  await followUntil(farm, id, (events) => events.includes(`${FROM_ENVIRONMENT.length} bytes`));
  expect(await commandLines()).not.toContain(FROM_ENVIRONMENT);
  await fetch(`${farm.url}/api/v1/builds/${id}/cancel`, { method: 'POST' });
  await worker.stop();
});

it('are refused in clear words where the engine builds classically', async () => {
  const { farm, engine, directory } = e2e;
  const worker = await farm.startWorker(engine, { BUILDER: 'classic' });
  const { code, stdout } = await quayBuild({ ...farm, cliEnv: { ...farm.cliEnv, WORD: FROM_ENVIRONMENT } }, [
    'submit',
    join(directory, 'app'),
    '--repository',
    'team/app',
    '--secret',
    'id=word,env=WORD',
  ]);
  expect(code).toBe(1);
  expect(stdout).toContain('This build has secrets, which only BuildKit can give to a step');
  await worker.stop();
});
