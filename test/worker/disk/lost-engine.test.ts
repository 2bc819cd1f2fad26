import { randomInt } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { importBaseImage } from '../../../lab/base-image.ts';
import { type LabDockerEngine, startEngine } from '../../../lab/engine.ts';
import { type LabPackageServer, startPackageServer } from '../../../lab/package-server.ts';
import { type LabRegistry, startRegistry } from '../../../lab/registry.ts';
import { systemClock } from '../../../src/worker/clock.ts';
import type { Disk } from '../../../src/worker/disk/disk.ts';
import { createSourceFetcher } from '../../../src/worker/source/index.ts';
import { startWorker } from '../harness.ts';
import { isInTheStep, startTestManager, type TestManager } from '../test-manager.ts';
import { argumentsOf, engineOf, namesOn, openDisk } from './support.ts';

/** An engine that is killed in mid-build and comes back: its worker notices by itself, and removes what the build left there. */

let engine: LabDockerEngine;
let registry: LabRegistry;
let packages: LabPackageServer;
let manager: TestManager;
/** The step that runs when the engine dies; BuildKit of 20.10 leaves it running, so that it is ended here. */
const step = `sleep ${randomInt(1e6, 1e9)}`;

beforeAll(async () => {
  [engine, registry, packages] = await Promise.all([startEngine(), startRegistry(), startPackageServer()]);
  const base = `${registry.host}/team/base:latest`;
  await importBaseImage(engine, base);
  await engine.docker(['push', '--quiet', base]);
  const serve = (path: string, dockerfile: string): void =>
    packages.serve(path, { kind: 'bytes', body: Buffer.from(dockerfile), contentType: 'text/plain' });
  serve('/endless', `FROM ${base}\nRUN echo in the step; ${step}\n`);
  serve('/short', `FROM ${base}\nRUN echo again\n`);
});
afterAll(async () => {
  await endSteps();
  await Promise.all([engine.stop(), registry.stop(), packages.stop()]);
});
beforeEach(async () => {
  manager = await startTestManager();
});
afterEach(() => manager[Symbol.asyncDispose]());

async function endSteps(): Promise<void> {
  for (const id of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const line = await readFile(`/proc/${id}/cmdline`, 'utf8').catch(() => '');
    if (line.split('\0').join(' ').trim() === step) process.kill(Number(id), 'SIGKILL');
  }
}

describe.each(['buildkit', 'classic'] as const)('with the %s builder', (builder) => {
  it('the build is an internal error, nothing of it stays, and the worker builds on without a restart', async () => {
    let disk: Disk | null = null;
    await using worker = await startWorker({
      manager,
      engine: engineOf(engine, builder),
      fetchSource: createSourceFetcher(),
      clock: systemClock,
      disk: (used, directory) =>
        (disk = openDisk(engine, directory, { bytes: 1e12 }, { engine: used, engineIsOurs: true }).disk),
    });
    const before = await manager.connection();
    await worker.logged('worker is ready');
    const answer = before.build(argumentsOf(registry, packages.url + '/endless'));
    await before.frame(isInTheStep);

    await engine.crash(async () => {
      expect((await answer).error).toBe('io.quay.builder.dockerconnecterror');
      await before.closed;
    });

    const after = await manager.connection();
    expect((await after.build(argumentsOf(registry, packages.url + '/short'))).error).toBeNull();
    worker.leave();
    await worker.ended;
    await (disk as Disk | null)?.sweep();
    expect(await engine.docker(['ps', '--all', '--quiet'])).toBe('');
    expect((await namesOn(engine)).filter((name) => name.includes('quay-builder'))).toEqual([]);
    expect((await readdir(worker.workDirectory)).sort()).toEqual(['engine.json', 'key']);
  });
});
