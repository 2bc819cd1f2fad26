import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readFile } from 'node:fs/promises';
import { pack } from 'tar-stream';
import { buffer } from 'node:stream/consumers';
import { startEngine, type LabEngine } from '../../lab/engine.ts';
import type { Build, BuildRequestBody } from '../../src/contract/api.ts';
import { ended, logOf, startE2e, submit, type E2e } from './support.ts';

/** Cache that builds name, and platforms, through the whole farm. */

let e2e: E2e;
beforeAll(async () => {
  e2e = await startE2e();
});
afterAll(() => e2e[Symbol.asyncDispose]());

async function build(request: BuildRequestBody, dockerfile: string): Promise<{ build: Build; log: string }> {
  const { id } = await submit(e2e.farm, request, new TextEncoder().encode(dockerfile));
  const done = await ended(e2e.farm, id);
  return { build: done, log: await logOf(e2e.farm, id) };
}

describe('cache', () => {
  const DOCKERFILE = 'FROM busybox:stable\nRUN date > /time; echo slow\n';
  let other: LabEngine;
  beforeAll(async () => {
    other = await startEngine({ mirror: e2e.bases.host });
  });
  afterAll(() => other.stop());

  it('serves on an engine that never built it, and not for a namespace that may not pull it', async () => {
    const { farm, engine } = e2e;
    const cache = `${farm.registry.host}/team/app:cache`;
    const first = await farm.startWorker(engine);
    const pushed = await build(
      { repository: 'team/app', tag_names: ['v1'], cache_to: ['cache'] },
      DOCKERFILE,
    );
    expect(pushed.build).toMatchObject({ state: 'complete', digests: { v1: expect.any(String) as string } });
    expect(pushed.build.digests).not.toHaveProperty('cache');
    expect(await engine.docker(['images', '--quiet', cache])).toBe('');
    await first.stop();

    const second = await farm.startWorker(other);
    const used = await build({ repository: 'team/app', cache_from: [cache] }, DOCKERFILE);
    expect(used.log).toContain('RUN date > /time; echo slow\n ---> Using cache\n');

    // The image stays on the engine, and nothing else that could serve.
    await other.docker(['builder', 'prune', '--all', '--force']);
    expect(await other.docker(['images', '--quiet', cache])).not.toBe('');
    const refused = await build({ repository: 'others/app', cache_from: [cache] }, DOCKERFILE);
    expect(refused.build.state).toBe('complete');
    expect(refused.log).toContain(`${cache} cannot be pulled: building without its cache`);
    expect(refused.log).not.toContain('Using cache');
    await second.stop();
  });
});

/** An image of one program, which only runs on a 64-bit ARM. */
async function armImage(): Promise<Buffer> {
  const program = await readFile('/bin/busybox');
  // The machine of an ELF header.
  program.writeUInt16LE(183, 18);
  const tar = pack();
  tar.entry({ name: 'bin/sh', mode: 0o755 }, program);
  tar.finalize();
  return buffer(tar);
}

describe('a platform', () => {
  it('is what the image is for, or the build says who cannot serve it', async () => {
    const { farm, engine, bases } = e2e;
    const base = `${bases.host}/library/arm:1`;
    await engine.docker(['import', '-', `${base}-files`], { input: await armImage() });
    await engine.docker(['push', '--quiet', `${base}-files`]);
    await engine.docker(['build', '--platform', 'linux/arm64', '--tag', base, '-'], {
      input: `FROM scratch\nCOPY --from=${base}-files / /\n`,
      env: { DOCKER_BUILDKIT: '1' },
    });
    await engine.docker(['push', '--quiet', base]);
    const worker = await farm.startWorker(engine);
    const request = { repository: 'team/arm', platform: 'linux/arm64' };

    expect((await build(request, 'FROM arm:1\nCOPY Dockerfile /\n')).build).toMatchObject({ error: null });
    const name = `${farm.registry.host}/team/arm:latest`;
    expect(await engine.docker(['inspect', '--format', '{{.Os}}/{{.Architecture}}', name])).toBe(
      'linux/arm64\n',
    );

    const { build: stepped } = await build(request, 'FROM arm:1\nRUN true\n');
    expect(stepped.error).toMatchObject({
      code: 'builderror',
      base_error: expect.stringContaining('need emulation (binfmt)') as string,
    });
    const { build: missing } = await build(request, 'FROM busybox:stable\n');
    expect(missing.error).toMatchObject({
      code: 'cannotpullbaseimage',
      base_error: 'The base image busybox:stable is for linux/amd64, and the build is for linux/arm64.',
    });
    const native = 'FROM --platform=$BUILDPLATFORM busybox:stable\nRUN echo native\nFROM arm:1\n';
    expect((await build(request, native)).build.state).toBe('complete');
    await worker.stop();
  });
});
