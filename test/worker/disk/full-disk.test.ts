import { randomBytes } from 'node:crypto';
import { readdir, rm, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { importBaseImage } from '../../../lab/base-image.ts';
import { type LabDockerEngine, startEngine } from '../../../lab/engine.ts';
import { startGitServer } from '../../../lab/git-server.ts';
import { run } from '../../../lab/process.ts';
import { type LabPackageServer, startPackageServer } from '../../../lab/package-server.ts';
import { type LabRegistry, startRegistry } from '../../../lab/registry.ts';
import { mountSmallDisk, type SmallDisk } from '../../../lab/small-disk.ts';
import { systemClock } from '../../../src/worker/clock.ts';
import { createSourceFetcher } from '../../../src/worker/source/index.ts';
import { type HarnessOptions, type RunningWorker, startWorker } from '../harness.ts';
import { startTestManager, type TestManager, type Worker } from '../test-manager.ts';
import { makeContext } from '../engine/support.ts';
import { writeTar } from '../source/tar-writer.ts';
import { argumentsOf, engineOf, namesOn, openDisk } from './support.ts';

/** Disks that are too small for what a build wants: the engine's, and the worker's own. */

const MIB = 1024 ** 2;
const DISK_BYTES = 112 * MIB;
const TOO_MUCH = 96 * MIB;
const OWN_DISK_BYTES = 72 * MIB;

let disk: SmallDisk;
let engine: LabDockerEngine;
let registry: LabRegistry;
let packages: LabPackageServer;
let manager: TestManager;
beforeAll(async () => {
  disk = await mountSmallDisk(DISK_BYTES);
  [engine, registry, packages] = await Promise.all([
    startEngine({ dataRoot: join(disk.path, 'engine') }),
    startRegistry(),
    startPackageServer(),
  ]);
  const base = `${registry.host}/team/base:latest`;
  await importBaseImage(engine, base);
  await engine.docker(['push', '--quiet', base]);
  await pushLargeImage();
  serve('/small', `FROM ${base}\nRUN echo it has room\n`);
  // No faster than disks are: the worker looks ten times a second.
  const slowly = `for i in $(seq ${TOO_MUCH / MIB}); do head -c ${MIB} /dev/zero >> /large || exit 1; sleep 0.01; done`;
  serve('/step', `FROM ${base}\nRUN ${slowly}\n`);
  serve('/base', `FROM ${registry.host}/team/large:latest\nRUN true\n`);
  const context = [
    { name: 'Dockerfile', content: `FROM ${base}\nCOPY large /\n` },
    { name: 'large', content: randomBytes(TOO_MUCH) },
  ];
  packages.serve('/context', { kind: 'bytes', body: writeTar(context), contentType: null });
});
afterAll(async () => {
  await Promise.all([engine.stop(), registry.stop(), packages.stop()]);
  await disk[Symbol.asyncDispose]();
});
beforeEach(async () => {
  manager = await startTestManager();
});
afterEach(() => manager[Symbol.asyncDispose]());

function serve(path: string, dockerfile: string): void {
  packages.serve(path, { kind: 'bytes', body: Buffer.from(dockerfile), contentType: 'text/plain' });
}

/** An image of zeros, which a registry keeps in little room, made on an engine that has room. */
async function pushLargeImage(): Promise<void> {
  await using roomy = await startEngine();
  const name = `${registry.host}/team/large:latest`;
  await using large = await makeContext({ large: '' });
  await truncate(join(large.path, 'large'), TOO_MUCH);
  await run('tar', ['-C', large.path, '-cf', join(large.path, 'image.tar'), 'large']);
  await roomy.docker(['import', join(large.path, 'image.tar'), name]);
  await roomy.docker(['push', '--quiet', name]);
}

interface Failure {
  readonly code: string | null;
  readonly words: unknown;
}

interface Working {
  readonly worker: RunningWorker;
  readonly connection: Worker;
  /** Builds what is served there, and answers with the code of the error and its words. */
  readonly build: (path: string, more?: Record<string, unknown>) => Promise<Failure>;
}

async function work(more: Partial<HarnessOptions> = {}): Promise<Working> {
  const worker = await startWorker({
    manager,
    engine: engineOf(engine),
    fetchSource: createSourceFetcher(),
    clock: systemClock,
    disk: (used, directory) =>
      openDisk(engine, directory, { share: 0.9 }, { engine: used, engineIsOurs: true }).disk,
    ...more,
  });
  const connection = await manager.connection();
  await worker.logged('worker is ready');
  return {
    worker,
    connection,
    build: async (path, own = {}) => {
      const { error, kwargs } = await connection.build({
        ...argumentsOf(registry, packages.url + path),
        ...own,
      });
      return {
        code: error === null ? null : error.replace('io.quay.builder.', ''),
        words: kwargs['base_error'],
      };
    },
  };
}

describe("the engine's disk", () => {
  it.each([
    ['a step writes', '/step'],
    ['a base image is', '/base'],
  ])(
    'is too small for what %s: an internal error that says so, and the next build has room',
    async (_what, path) => {
      const { worker, build } = await work();
      await using _worker = worker;
      const failed = await build(path);
      expect(failed.code).toBe('internalerror');
      expect(failed.words).toMatch(
        /^There is no room left on the disk of the worker's engine: .*were free, and the engine was stopped/i,
      );

      expect(await build('/small')).toEqual({ code: null, words: undefined });
      expect(await engine.docker(['ps', '--all', '--quiet'])).toBe('');
      expect((await namesOn(engine)).filter((name) => name.includes('quay-builder'))).toEqual([]);
      // The engine is swept after the answer, and what is known of it is written anew.
      await expect
        .poll(async () => (await readdir(worker.workDirectory)).sort())
        .toEqual(['engine.json', 'key']);
    },
  );

  it('is too small for what a context is: an internal error that says so', async () => {
    const { worker, build } = await work();
    await using _worker = worker;
    expect(await build('/context')).toEqual({
      code: 'internalerror',
      words: expect.stringContaining("There is no room left on the disk of the worker's engine") as string,
    });
    worker.leave();
    await worker.ended;
    // BuildKit of 20.10 holds the file of a context that broke off open, and its room, for a while.
    await engine.crash();
  });

  it('is filled by somebody else: the worker leaves the builds to others until there is room', async () => {
    const { worker, connection } = await work();
    await using _worker = worker;
    const file = join(disk.path, 'others');
    await run('sh', ['-c', `dd if=/dev/zero of=${file} bs=1M 2>/dev/null || true`]);
    await connection.closed;
    await worker.logged('the disk of the engine is full');

    await rm(file);
    const again = await manager.connection();
    expect((await again.build(argumentsOf(registry, packages.url + '/small'))).error).toBeNull();
  });
});

describe("the worker's own disk", () => {
  it('is too small: an internal error that says so, nothing stays, and the next build has room', async () => {
    await using small = await mountSmallDisk(OWN_DISK_BYTES);
    await using git = await startGitServer();
    const sha = await git.commit('large', { large: 'x'.repeat(OWN_DISK_BYTES + 8 * MIB) });
    const { worker, build } = await work({ workRoot: small.path });
    await using _worker = worker;
    const full = { code: 'internalerror', words: expect.stringContaining('(ENOSPC)') as string };
    expect(await build('/context')).toEqual(full);
    const source = { url: git.url('large'), sha, private_key: '' };
    expect(await build('/none', { build_package: '', git: source })).toEqual(full);
    expect(await readdir(worker.workDirectory)).toEqual(['key']);
    expect(await build('/small')).toEqual({ code: null, words: undefined });
  });
});
