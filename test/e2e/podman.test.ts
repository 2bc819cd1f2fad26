import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import type { Build, BuildRequestBody } from '../../src/contract/api.ts';
import { startPodman } from '../../lab/podman.ts';
import type { LabProcess } from '../../lab/process.ts';
import {
  buildFolders,
  ended,
  endlessBuild,
  followUntil,
  hasBegun,
  isRunning,
  logOf,
  quayBuild,
  show,
  startE2e,
  submit,
  type E2e,
} from './support.ts';

/** The farm's programs on Podman's service, with a registry that takes the manager's tokens. */

let e2e: E2e;
let worker: LabProcess;
beforeAll(async () => {
  e2e = await startE2e({ startEngine: startPodman });
  worker = await e2e.farm.startWorker(e2e.engine);
});
afterAll(() => e2e[Symbol.asyncDispose]());
afterEach(async () => {
  // Its folder goes once the result was told.
  await expect.poll(() => buildFolders(e2e)).toEqual([]);
  expect(await e2e.engine.docker(['images', '--format', '{{.Repository}}'])).not.toContain('quay-builder-');
});

async function begin(
  dockerfile: string | Uint8Array<ArrayBuffer>,
  more: Partial<BuildRequestBody> = {},
): Promise<string> {
  const request = { repository: 'team/app', ...more };
  const bytes = typeof dockerfile === 'string' ? new TextEncoder().encode(dockerfile) : dockerfile;
  return (await submit(e2e.farm, request, bytes)).id;
}

async function build(dockerfile: string, more?: Partial<BuildRequestBody>): Promise<Build> {
  return ended(e2e.farm, await begin(dockerfile, more));
}

/** The digest that the registry has for a tag of `team/app`, as it lies in its storage. */
async function stored(tag: string): Promise<string> {
  const manifests = 'registry/docker/registry/v2/repositories/team/app/_manifests';
  return readFile(join(e2e.directory, manifests, 'tags', tag, 'current/link'), 'utf8');
}

it('builds, and pushes each tag with a digest, as who the manager vouches for', async () => {
  const done = await build(
    'FROM busybox:stable AS one\nARG WORDS\nRUN echo "<$WORDS>" > /words; cat /words\nFROM busybox:stable\nCOPY --from=one /words /words\n',
    { tag_names: ['latest', 'v1'], build_args: { WORDS: 'two words' }, labels: { team: 'blue' } },
  );
  expect(done).toMatchObject({ state: 'complete', error: null });
  expect(done.digests).toEqual({ latest: await stored('latest'), v1: await stored('v1') });
  const log = await logOf(e2e.farm, done.id);
  expect(log).toContain('<two words>\n');
  expect(log).toContain('Step 3/8 : RUN echo');

  const { registry } = e2e.farm;
  await e2e.engine.docker(['rmi', '--force', `${registry.host}/team/app:v1`]);
  const next = await build(`FROM ${registry.host}/team/app:v1\nRUN cat /words\n`);
  expect(next).toMatchObject({ state: 'complete' });
  expect(await logOf(e2e.farm, next.id)).toContain('<two words>\n');
  expect(worker.output()).not.toContain('two words');
});

it('says which step failed, which base is not there or may not be had, and that there are no secrets', async () => {
  const codeOf = async (dockerfile: string, more?: Partial<BuildRequestBody>): Promise<string> => {
    const { state, error } = await build(dockerfile, more);
    return `${state}: ${error?.code}: ${error?.base_error}`;
  };
  expect(await codeOf('FROM busybox:stable\nRUN exit 7\n')).toMatch(
    /^error: builderror: Step 2\/4 : RUN exit 7: .*exit status 7/,
  );
  expect(await codeOf('FROM busybox:absent\n')).toMatch(/^error: cannotpullbaseimage: .*manifest unknown/);
  expect(await codeOf(`FROM ${e2e.farm.registry.host}/other/private:1\n`)).toMatch(
    /^error: cannotpullbaseimage: [^]*denied/,
  );
  expect(await codeOf('FROM busybox:stable\nFETCH it\n')).toMatch(/^error: dockerfileissue: .*FETCH/);
  expect(await codeOf('FROM busybox:stable\n', { secrets: { word: 'hidden' } })).toMatch(
    /^error: builderror: This build has secrets.* Podman Engine,/,
  );
});

it('cancels a build at once, stops its step, and builds the next one', async () => {
  const { dockerfile, command } = endlessBuild();
  const id = await begin(dockerfile);
  await followUntil(e2e.farm, id, hasBegun);
  await expect.poll(() => isRunning(command)).toBe(true);

  expect((await quayBuild(e2e.farm, ['cancel', id])).code).toBe(0);
  expect(await show(e2e.farm, id)).toMatchObject({ state: 'cancelled' });
  await expect.poll(() => isRunning(command)).toBe(false);

  expect(await build('FROM busybox:stable\n')).toMatchObject({ state: 'complete' });
});
