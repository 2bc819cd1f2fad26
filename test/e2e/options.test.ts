import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { buildSchema } from '../../src/contract/api.ts';
import { startGitServer } from '../../lab/git-server.ts';
import { ended, logOf, quayBuild, startE2e, submit, type E2e } from './support.ts';

/** What a build says of its own to its Dockerfile and image, from the command line to the image in the registry. */

let e2e: E2e;
beforeAll(async () => {
  e2e = await startE2e({ registryAuth: 'open' });
});
afterAll(() => e2e[Symbol.asyncDispose]());

const DOCKERFILE = `ARG TAG=missing
FROM busybox:\${TAG} AS wanted
ARG WORDS
ARG FROM_ENVIRONMENT
RUN echo "<$WORDS> <$FROM_ENVIRONMENT>"
FROM nowhere.invalid/base
RUN exit 1
`;

async function labelsOf(image: string): Promise<unknown> {
  const { engine } = e2e;
  await engine.docker(['rmi', '--force', image]);
  await engine.docker(['pull', '--quiet', image]);
  return JSON.parse(await engine.docker(['inspect', '--format', '{{json .Config.Labels}}', image]));
}

it.each(['buildkit', 'classic'])(
  'takes build arguments, a target and labels with the %s builder',
  async (builder) => {
    const { farm, engine, directory } = e2e;
    const worker = await farm.startWorker(engine, { BUILDER: builder });
    const folder = join(directory, builder);
    await mkdir(folder);
    await writeFile(join(folder, 'Dockerfile'), DOCKERFILE);
    const { code, stdout } = await quayBuild(
      { ...farm, cliEnv: { ...farm.cliEnv, FROM_ENVIRONMENT: 'inherited' } },
      [
        ...['submit', folder, '--repository', `team/${builder}`, '--json', '--target', 'wanted'],
        ...[
          '--build-arg',
          'TAG=stable',
          '--build-arg',
          'WORDS=two words=2',
          '--build-arg',
          'FROM_ENVIRONMENT',
        ],
        ...['--label', 'team=blue', '--label', 'empty'],
      ],
    );
    expect(code).toBe(0);
    const build = buildSchema.parse(JSON.parse(stdout));
    expect(build).toMatchObject({
      state: 'complete',
      build_args: { TAG: 'stable', WORDS: 'two words=2', FROM_ENVIRONMENT: 'inherited' },
      target: 'wanted',
      labels: { team: 'blue', empty: '' },
    });
    expect(await logOf(farm, build.id)).toContain('<two words=2> <inherited>\n');
    const pushed = `${farm.registry.host}/team/${builder}:latest`;
    await engine.docker(['rmi', '--force', pushed]);
    await engine.docker(['pull', '--quiet', pushed]);
    const labels: unknown = JSON.parse(
      await engine.docker(['inspect', '--format', '{{json .Config.Labels}}', pushed]),
    );
    expect(labels).toMatchObject({ team: 'blue', empty: '' });
    expect(labels).toHaveProperty(['org.opencontainers.image.base.name'], 'docker.io/library/busybox:stable');
    expect(worker.output()).not.toContain('two words');
    await worker.stop();
  },
);

it('labels an image with where it comes from and nothing secret, takes every step from the cache, and leaves it when it is told to', async () => {
  const { farm, engine } = e2e;
  const worker = await farm.startWorker(engine);
  const git = await startGitServer();
  const sha = await git.commit('app', {
    Dockerfile: 'FROM busybox:stable\nRUN echo built\nLABEL org.opencontainers.image.revision=mine\n',
  });
  const url = git.url('app');
  const build = async (more: object): Promise<{ id: string; labels: unknown; log: string }> => {
    const withPassword = url.replace('http://', 'http://user:SECRET-PASSWORD@');
    const { id } = await submit(farm, {
      repository: 'team/git',
      git: { url: withPassword, ref: sha },
      ...more,
    });
    expect(await ended(farm, id)).toMatchObject({ state: 'complete' });
    return {
      id,
      labels: await labelsOf(`${farm.registry.host}/team/git:latest`),
      log: await logOf(farm, id),
    };
  };
  const first = await build({});
  expect(first.labels).toEqual({
    'org.opencontainers.image.created': expect.stringMatching(/^20\d\d-.*Z$/) as string,
    'org.opencontainers.image.source': url,
    'org.opencontainers.image.revision': 'mine',
    'org.opencontainers.image.base.name': 'docker.io/library/busybox:stable',
  });
  const second = await build({ labels: { 'org.opencontainers.image.source': 'elsewhere' } });
  expect(second.labels).toMatchObject({ 'org.opencontainers.image.source': 'elsewhere' });
  expect(second.labels).not.toEqual(first.labels);
  expect(second.log).toContain('RUN echo built\n ---> Using cache\n');
  expect((await build({ oci_labels: false })).labels).toEqual({
    'org.opencontainers.image.revision': 'mine',
  });
  await git.stop();
  await worker.stop();
});

it('runs no frontend that the operator has not allowed', async () => {
  const { farm, engine } = e2e;
  const worker = await farm.startWorker(engine, { FRONTENDS: 'team/frontend' });
  const build = async (frontend: string): Promise<string> => {
    const dockerfile = new TextEncoder().encode(`# syntax=${frontend}\nFROM busybox:stable\n`);
    const { id } = await submit(farm, { repository: 'team/frontends' }, dockerfile);
    const { error } = await ended(farm, id);
    return `${error?.code}: ${error?.base_error}`;
  };
  expect(await build('docker/dockerfile:1')).toMatch(
    /^dockerfileissue: .*"docker\/dockerfile:1".*team\/frontend/,
  );
  // This one is asked for, and is nowhere.
  expect(await build('team/frontend:1')).not.toContain('FRONTENDS');
  await worker.stop();
});
