import { readdir } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { importBaseImage } from '../../lab/base-image.ts';
import { type LabEngine, startEngine } from '../../lab/engine.ts';
import { type LabPackageServer, startPackageServer } from '../../lab/package-server.ts';
import { type LabRegistry, startRegistry } from '../../lab/registry.ts';
import { systemClock } from '../../src/worker/clock.ts';
import { createEngine } from '../../src/worker/engine/index.ts';
import { createSourceFetcher } from '../../src/worker/source/index.ts';
import { type RunningWorker, someBuild, startWorker } from './harness.ts';
import { isInTheStep, LOG, startTestManager, type TestManager, type Worker } from './test-manager.ts';

/** A worker whose build is stopped, or whose engine dies, in the middle of a step that would go on for long. */

let registry: LabRegistry;
let packages: LabPackageServer;
beforeAll(async () => {
  [registry, packages] = await Promise.all([startRegistry(), startPackageServer()]);
  packages.serve('/endless', {
    kind: 'bytes',
    body: Buffer.from(`FROM ${registry.host}/team/base\nRUN echo in the step; sleep 600\n`),
    contentType: 'text/plain',
  });
});
afterAll(() => Promise.all([registry.stop(), packages.stop()]));

async function engineWithBase(): Promise<LabEngine> {
  const engine = await startEngine();
  await importBaseImage(engine, `${registry.host}/team/base:latest`);
  await engine.docker(['push', `${registry.host}/team/base:latest`]);
  return engine;
}

interface InStep {
  readonly worker: RunningWorker;
  readonly connection: Worker;
  readonly answer: Promise<{ error: string | null }>;
}

/** A worker in the middle of the step. */
async function inStep(
  manager: TestManager,
  engine: LabEngine,
  builder: 'classic' | 'buildkit',
): Promise<InStep> {
  const worker = await startWorker({
    manager,
    engine: createEngine({ dockerHost: engine.dockerHost, builder }),
    fetchSource: createSourceFetcher(),
    clock: systemClock,
  });
  const connection = await manager.connection();
  await worker.logged('worker is ready');
  const answer = connection.build(endless());
  await connection.frame(isInTheStep);
  return { worker, connection, answer };
}

function endless(): Record<string, unknown> {
  return { ...someBuild, registry: registry.host, build_package: `${packages.url}/endless` };
}

/** Resolves when no container runs on the engine: one that is being stopped may take a moment. */
async function quiet(engine: LabEngine): Promise<void> {
  const running = await engine.docker(['ps', '--quiet', '--no-trunc']);
  for (const id of running.split('\n').filter((line) => line !== '')) {
    await engine.docker(['wait', id]).catch(() => 'gone already');
  }
}

describe.each(['classic', 'buildkit'] as const)('with the %s builder', (builder) => {
  it('stops a build that the manager cancels, and leaves nothing behind', async () => {
    await using engine = await engineWithBase();
    await using manager = await startTestManager({ extensions: ['cancel'] });
    const { worker, connection, answer } = await inStep(manager, engine, builder);
    await using _worker = worker;
    connection.publish('io.quay.builder.cancel', {});
    expect((await answer).error).toBe('io.quay.builder.clientrejectedtransition');
    await quiet(engine);
    expect(await readdir(worker.workDirectory)).toEqual(['key']);
    expect(await engine.docker(['images', '--format', '{{.Repository}}'])).not.toContain('quay-builder');
  });

  it('ends as dockerconnecterror when its engine is killed, and leaves the builds to others until there is one again', async () => {
    await using engine = await engineWithBase();
    await using manager = await startTestManager();
    const { worker, connection, answer } = await inStep(manager, engine, builder);
    await using _worker = worker;
    process.kill(engine.pid, 'SIGKILL');
    expect((await answer).error).toBe('io.quay.builder.dockerconnecterror');
    expect(connection.calls(LOG).length).toBeGreaterThan(0);
    await connection.closed;
    await worker.logged('the engine does not answer');
  });
});
