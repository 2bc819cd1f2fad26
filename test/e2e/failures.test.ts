import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { startGitServer, type LabGitServer } from '../../lab/git-server.ts';
import { tokenAuth } from '../../lab/farm.ts';
import { startPackageServer, type LabPackageServer } from '../../lab/package-server.ts';
import { startRegistry } from '../../lab/registry.ts';
import { writeTarGz } from '../worker/source/tar-writer.ts';
import { buildFolders, ended, startE2e, submit, type E2e } from './support.ts';

/** How builds fail: what the user reads, and that nothing is left of them. */

let e2e: E2e;
let git: LabGitServer;
let packages: LabPackageServer;
/** What is on the engine when nothing builds. */
let before: string;

beforeAll(async () => {
  e2e = await startE2e();
  await e2e.farm.startWorker(e2e.engine);
  git = await startGitServer();
  packages = await startPackageServer();
  await e2e.engine.docker(['pull', '--quiet', 'busybox:stable']);
  before = await left();
});
afterAll(async () => {
  await packages.stop();
  await git.stop();
  await e2e[Symbol.asyncDispose]();
});
afterEach(async () => {
  // The worker tidies up once it has told the result.
  await expect.poll(left).toBe(before);
});

/** The engine's images and containers, and the worker's folders of builds. */
async function left(): Promise<string> {
  const { engine } = e2e;
  const images = await engine.docker(['images', '--all', '--format', '{{.Repository}}:{{.Tag}} {{.ID}}']);
  const containers = await engine.docker(['ps', '--all', '--quiet']);
  // Sorted: an engine lists the images of one moment in any order.
  return [...images.split('\n').sort(), containers, ...(await buildFolders(e2e))].join('\n');
}

function lone(dockerfile: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(dockerfile);
}

it('says which step failed, and how', async () => {
  const { id } = await submit(
    e2e.farm,
    { repository: 'team/app' },
    lone('FROM busybox:stable\nRUN exit 7\n'),
  );
  const { state, error, tries } = await ended(e2e.farm, id);
  expect({ state, code: error?.code, tries: tries.length }).toEqual({
    state: 'error',
    code: 'builderror',
    tries: 1,
  });
  expect(error?.base_error).toMatch(/RUN exit 7|exit 7/);
  expect(error?.base_error).toMatch(/exit code: 7|returned a non-zero code: 7/);
});

it('says that there is no Dockerfile, and where it looked', async () => {
  const bytes = new Uint8Array(writeTarGz([{ name: 'README', content: 'no Dockerfile here' }]));
  const { id } = await submit(
    e2e.farm,
    { repository: 'team/app', dockerfile_path: 'deploy/Dockerfile' },
    bytes,
  );
  const { state, error } = await ended(e2e.farm, id);
  expect({ state, code: error?.code }).toEqual({ state: 'error', code: 'dockerfileissue' });
  expect(error?.base_error).toContain('deploy/Dockerfile');
});

it('says that a commit does not exist', async () => {
  await git.commit('app', { Dockerfile: 'FROM busybox:stable\n' });
  const sha = '0123456789012345678901234567890123456789';
  const { id } = await submit(e2e.farm, { repository: 'team/app', git: { url: git.url('app'), ref: sha } });
  const { state, error } = await ended(e2e.farm, id);
  expect({ state, code: error?.code }).toEqual({ state: 'error', code: 'gitcheckout' });
  expect(error?.base_error).toContain(sha);
});

it('says that a base image does not exist', async () => {
  const missing = `${e2e.bases.host}/team/missing:1`;
  const { id } = await submit(e2e.farm, { repository: 'team/app' }, lone(`FROM ${missing}\n`));
  const { state, error } = await ended(e2e.farm, id);
  expect({ state, code: error?.code }).toEqual({ state: 'error', code: 'cannotpullbaseimage' });
  expect(error?.base_error).toMatch(/manifest unknown|not found/);
});

it("does not let a namespace build on another's private image, not even when the engine has it", async () => {
  const { farm } = e2e;
  const base = await submit(
    farm,
    { repository: 'private/base' },
    lone('FROM busybox:stable\nRUN echo hidden > /hidden\n'),
  );
  expect(await ended(farm, base.id)).toMatchObject({ state: 'complete' });
  const from = `FROM ${base.registry}/private/base:latest\nRUN cat /hidden\n`;

  const own = await submit(farm, { repository: 'private/app' }, lone(from));
  expect(await ended(farm, own.id)).toMatchObject({ state: 'complete', error: null });

  const foreign = await submit(farm, { repository: 'other/app' }, lone(from));
  const { state, error } = await ended(farm, foreign.id);
  expect({ state, code: error?.code }).toEqual({ state: 'error', code: 'cannotpullbaseimage' });
  expect(error?.base_error).toMatch(/denied|unauthorized|authentication required/i);

  // Engines that know no heredocs read a COPY there.
  const hidden = `FROM busybox:stable\nRUN cat <<CMD\nCOPY --from=${base.registry}/private/base:latest /hidden /\nCMD\n`;
  const thief = await submit(farm, { repository: 'other/app' }, lone(hidden));
  expect(await ended(farm, thief.id)).toMatchObject({
    state: 'error',
    error: {
      code: 'cannotpullbaseimage',
      base_error: expect.stringMatching(/denied|unauthorized/) as string,
    },
  });
  for (const name of ['private/base', 'private/app']) {
    await e2e.engine.docker(['rmi', `${base.registry}/${name}:latest`]);
  }
});

it('says that a registry refuses the push, and does not try again', async () => {
  const { farm } = e2e;
  // It asks for tokens, and the manager has none to give for it.
  await using strict = await startRegistry(tokenAuth(farm.url, farm.dataDirectory));
  const { id } = await submit(
    farm,
    { repository: 'team/app', registry: strict.host },
    lone('FROM busybox:stable\nRUN echo refused\n'),
  );
  const { state, error, tries } = await ended(farm, id);
  expect({ state, code: error?.code, tries: tries.length }).toEqual({
    state: 'error',
    code: 'pushissue',
    tries: 1,
  });
  expect(error?.base_error).toMatch(/denied|unauthorized|no basic auth|authentication required/);
});

it('tries again, with a word on each try, when a package cannot be fetched', async () => {
  packages.serve('/gone.tar.gz', { kind: 'status', status: 404 });
  const { id } = await submit(e2e.farm, {
    repository: 'team/app',
    build_package: `${packages.url}/gone.tar.gz?signature=very-secret`,
  });
  await e2e.farm.manager.printed(new RegExp(`"build":"${id}".*"became":"waiting"`));
  const answer = await fetch(`${e2e.farm.url}/api/v1/builds/${id}`);
  const shown = await answer.text();
  expect(JSON.parse(shown)).toMatchObject({
    state: 'waiting',
    tries: [{ number: 1, outcome: 'internalerror', error: { code: 'buildpackissue' } }],
  });
  expect(shown).toContain('404');
  expect(shown).not.toContain('very-secret');
  await fetch(`${e2e.farm.url}/api/v1/builds/${id}/cancel`, { method: 'POST' });
});

it('refuses a package whose entries leave it', async () => {
  const bytes = new Uint8Array(writeTarGz([{ name: '../../etc/escaped', content: 'x' }]));
  const { id } = await submit(e2e.farm, { repository: 'team/app' }, bytes);
  const { state, error } = await ended(e2e.farm, id);
  expect({ state, code: error?.code }).toEqual({ state: 'error', code: 'cannotextractbuildpack' });
  expect(error?.base_error).toContain('escaped');
});
