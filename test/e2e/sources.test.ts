import { afterAll, beforeAll, expect, it } from 'vitest';
import { startGitServer, type LabGitServer } from '../../lab/git-server.ts';
import { startSshServer } from '../../lab/ssh-server.ts';
import { writeTarGz } from '../worker/source/tar-writer.ts';
import { writeZip } from '../worker/source/zip-writer.ts';
import { digestOf, ended, logOf, quayBuild, startE2e, submit, type E2e } from './support.ts';

/** What a user may submit, from the submission to the image in the registry. */

const DOCKERFILE = 'FROM busybox:stable\nCOPY hello.txt /hello.txt\nRUN cat /hello.txt\n';

let e2e: E2e;
let git: LabGitServer;
beforeAll(async () => {
  e2e = await startE2e({ registryAuth: 'open' });
  await e2e.farm.startWorker(e2e.engine);
  git = await startGitServer();
});
afterAll(async () => {
  await git.stop();
  await e2e[Symbol.asyncDispose]();
});

it('builds a tar.gz and pushes every tag with the digest that the registry knows it by', async () => {
  const { farm } = e2e;
  const bytes = new Uint8Array(
    writeTarGz([
      { name: 'Dockerfile', content: DOCKERFILE },
      { name: 'hello.txt', content: 'from a tar.gz\n' },
    ]),
  );
  const { id } = await submit(
    farm,
    { repository: 'team/tar', tag_names: ['latest', 'v1', '2026-11'] },
    bytes,
  );
  const build = await ended(farm, id);
  expect(build).toMatchObject({ state: 'complete', error: null, progress: { step: 3, steps: 3 } });
  expect(Object.keys(build.digests)).toEqual(expect.arrayContaining(['latest', 'v1', '2026-11']));
  for (const [tag, digest] of Object.entries(build.digests)) {
    expect(await digestOf(farm.registry, 'team/tar', tag), tag).toBe(digest);
  }
  const log = await logOf(farm, id);
  expect(log).toContain('Step 2/3 : COPY hello.txt /hello.txt');
  expect(log).toContain('from a tar.gz');
});

it('builds a zip, from a folder and a Dockerfile that are named', async () => {
  const { farm } = e2e;
  const bytes = new Uint8Array(
    writeZip([
      { name: 'docker/prod.Dockerfile', content: DOCKERFILE },
      { name: 'docker/hello.txt', content: 'from a zip\n' },
    ]),
  );
  const { id } = await submit(
    farm,
    { repository: 'team/zip', context: 'docker', dockerfile_path: 'prod.Dockerfile' },
    bytes,
  );
  expect(await ended(farm, id)).toMatchObject({ state: 'complete' });
  expect(await logOf(farm, id)).toContain('from a zip');
});

it('builds a lone Dockerfile', async () => {
  const { farm } = e2e;
  const bytes = new TextEncoder().encode('FROM busybox:stable\nRUN echo from a lone Dockerfile\n');
  const { id } = await submit(farm, { repository: 'team/lone' }, bytes);
  expect(await ended(farm, id)).toMatchObject({ state: 'complete' });
  expect(await logOf(farm, id)).toContain('from a lone Dockerfile');
});

it('builds a branch of a git repository at the commit that it was when it was submitted', async () => {
  const { farm } = e2e;
  const first = await git.commit('app', { Dockerfile: DOCKERFILE, 'hello.txt': 'first\n' });
  const { id } = await submit(farm, { repository: 'team/git', git: { url: git.url('app'), ref: 'main' } });
  await git.commit('app', { Dockerfile: DOCKERFILE, 'hello.txt': 'second\n' });
  const build = await ended(farm, id);
  expect(build).toMatchObject({ state: 'complete', source: { type: 'git', sha: first, ref: 'main' } });
  expect(await logOf(farm, id)).toContain('first');
});

it('builds a branch with a submodule over ssh, with the key of the build, which the log does not show', async () => {
  const { farm } = e2e;
  await using ssh = await startSshServer();
  const words = await ssh.commit('words', { 'hello.txt': 'over ssh\n' });
  const sha = await ssh.commit('app', {
    Dockerfile: DOCKERFILE.replace('COPY hello.txt', 'COPY words/hello.txt'),
    words: { submodule: '../words.git', sha: words },
  });
  const source = { url: ssh.url('app'), ref: 'main', private_key: ssh.privateKey };
  const { id } = await submit(farm, { repository: 'team/ssh', git: source });
  expect(await ended(farm, id)).toMatchObject({ state: 'complete', source: { type: 'git', sha } });
  const log = await logOf(farm, id);
  expect(log).toContain('over ssh');
  for (const line of ssh.privateKey.trim().split('\n')) expect(log).not.toContain(line);
});

it('keeps every line of a build that prints fast', async () => {
  const { farm } = e2e;
  // Less than 1 MiB: of more at once, Docker 20.10 cannot tell.
  const lines = 150_000;
  const bytes = new TextEncoder().encode(`FROM busybox:stable\nRUN seq 1 ${lines}\n`);
  const { id } = await submit(farm, { repository: 'team/loud' }, bytes);
  expect(await ended(farm, id)).toMatchObject({ state: 'complete' });
  const log = await logOf(farm, id);
  expect(log.split('\n').filter((line) => /^\d+$/.test(line)).length).toBe(lines);
});

it('builds a folder from the command line, honouring .dockerignore, and exits with 0', async () => {
  const { farm, engine } = e2e;
  const { code, stdout, stderr } = await quayBuild(farm, [
    ...['submit', 'examples/hello', '--repository', 'team/cli', '--json'],
  ]);
  expect({ code, stderr }).toMatchObject({ code: 0 });
  const build = JSON.parse(stdout) as { digests: { latest: string }; registry: string };
  const reference = `${build.registry}/team/cli@${build.digests.latest}`;
  await engine.docker(['rmi', `${build.registry}/team/cli:latest`]);
  await engine.docker(['pull', '--quiet', reference]);
  expect(await engine.docker(['run', '--rm', '--network', 'none', reference])).toContain('Guten Tag');
});
