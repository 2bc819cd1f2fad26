import { mkdtemp, rm } from 'node:fs/promises';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { importBaseImage } from '../../lab/base-image.ts';
import { startEngine, type LabEngine } from '../../lab/engine.ts';
import { startPodman } from '../../lab/podman.ts';
import { freePort } from '../../lab/ports.ts';
import { startProcess } from '../../lab/process.ts';
import { startRegistry, type LabRegistry } from '../../lab/registry.ts';
import { startTestManager, type TestManager } from './test-manager.ts';

/** `quay-builder doctor`, on real things and on missing ones. */

const MAIN = fileURLToPath(new URL('../../src/worker/main.ts', import.meta.url));

let directory: string;
let engine: LabEngine;
let registry: LabRegistry;
let manager: TestManager;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'quay-builder-doctor-'));
  engine = await startEngine();
  registry = await startRegistry();
  manager = await startTestManager();
});
afterAll(async () => {
  await manager[Symbol.asyncDispose]();
  await registry.stop();
  await engine.stop();
  await rm(directory, { recursive: true });
});

async function doctor(
  env: NodeJS.ProcessEnv,
  args: readonly string[] = [],
): Promise<{ exitCode: number; said: string }> {
  await using program = startProcess(process.execPath, [MAIN, 'doctor', ...args], {
    env: { PATH: process.env['PATH'], WORK_DIR: join(directory, 'work'), ...env },
  });
  const exitCode = await program.exited;
  return { exitCode, said: program.output() };
}

it('finds all well where it is', async () => {
  const { exitCode, said } = await doctor({ ENDPOINT: manager.url.href, DOCKER_HOST: engine.dockerHost }, [
    '--registry',
    registry.host,
  ]);
  expect(said).toMatch(/^ok {4}engine: Docker Engine .*, builds with buildkit$/m);
  expect(said).toMatch(/^ok {4}engine: it does not clip what steps print$/m);
  expect(said).toMatch(/^(ok {2}|warn) {2}engine's disk: [\d.]+ GB are free at \//m);
  expect(said).toMatch(/^ok {4}disk budget: what this worker brought takes 0 B of [\d.]+ GB$/m);
  expect(said).toMatch(/^(ok {2}|warn) {2}disk: [\d.]+ GiB are free/m);
  expect(said).toMatch(/^ok {4}manager: ws:.* answers, and lets enterprise workers in$/m);
  expect(said).toMatch(/^ok {4}git: git version/m);
  expect(said).toMatch(/^warn {2}registry: http:.* answers 200$/m);
  expect(exitCode).toBe(0);
});

it('says what lacks, and what to do about it', async () => {
  const port = await freePort();
  const { exitCode, said } = await doctor(
    {
      SERVER: `ws://127.0.0.1:${port}`,
      DOCKER_HOST: `unix://${directory}/no-engine.sock`,
      WORK_DIR: '/dev/null/work',
      PATH: directory,
    },
    ['--registry', `127.0.0.1:${port}`],
  );
  expect(exitCode).toBe(1);
  for (const part of ['engine', 'disk', 'manager', 'git', 'ssh', 'registry']) {
    expect(said).toMatch(new RegExp(`^FAIL {2}${part}: .+\\n {6}\\S.+`, 'm'));
  }
});

it('says what a container is to be given, in one', async () => {
  const port = await freePort();
  const env = { SERVER: `ws://127.0.0.1:${port}`, DOCKER_HOST: `unix://${directory}/no-engine.sock` };
  const { exitCode, said } = await doctor({ ...env, WORK_DIR: '/dev/null/work', container: 'oci' }, [
    '--registry',
    `127.0.0.1:${port}`,
  ]);
  expect(exitCode).toBe(1);
  expect(said).toMatch(/^FAIL {2}engine: .+\n {6}.*--volume \/var\/run\/docker\.sock:/m);
  expect(said).toMatch(/^FAIL {2}disk: .+\n {6}mount a volume/m);
  expect(said).toMatch(/^FAIL {2}manager: .+\n {6}.*127\.0\.0\.1 is this container.*\/certs$/m);
  expect(said).toMatch(/^FAIL {2}registry: .+\n {6}.*127\.0\.0\.1 is this container/m);
});

it('sees that the classic builder is asked for, and what that costs', async () => {
  const { exitCode, said } = await doctor({
    ENDPOINT: manager.url.href,
    DOCKER_HOST: engine.dockerHost,
    BUILDER: 'classic',
  });
  expect(said).toMatch(/^warn {2}engine: .* builds with classic\n {6}it has no BuildKit/m);
  expect(exitCode).toBe(0);
});

it('sees that BuildKit is asked for where there is none', async () => {
  const podman = await startPodman();
  try {
    const env = { ENDPOINT: manager.url.href, DOCKER_HOST: podman.dockerHost };
    const { exitCode, said } = await doctor({ ...env, BUILDER: 'buildkit' });
    expect(said).toMatch(/^FAIL {2}engine: This engine has no BuildKit.*\n {6}.*set BUILDER=auto/m);
    expect(exitCode).toBe(1);
  } finally {
    await podman.stop();
  }
});

describe('what an engine lacks', () => {
  let clipping: LabEngine;
  beforeAll(async () => {
    clipping = await startEngine({
      env: { BUILDKIT_STEP_LOG_MAX_SIZE: undefined, BUILDKIT_STEP_LOG_MAX_SPEED: '-1' },
    });
    await importBaseImage(clipping, 'test/base:1');
  });
  afterAll(() => clipping.stop());
  const lookAt = (env: NodeJS.ProcessEnv): ReturnType<typeof doctor> =>
    doctor({ ENDPOINT: manager.url.href, DOCKER_HOST: clipping.dockerHost, ...env });

  it('is that it bounds no build, clips what steps print, and is over its budget', async () => {
    const { exitCode, said } = await lookAt({ DISK_BUDGET: '1M', ENGINE_IS_OURS: 'yes' });
    expect(said).toMatch(/^warn {2}engine: its BuildKit bounds neither .*\n {6}.*MemoryMax=/m);
    expect(said).toMatch(/^warn {2}engine: it clips what steps print at 1\.0 MB of a step\n {6}BUILDKIT_/m);
    expect(said).toMatch(/^warn {2}disk budget: the engine takes [\d.]+ MB of 1\.0 MB\n {6}\S/m);
    expect(exitCode).toBe(0);
  });

  it('is less with the classic builder', async () => {
    const { said } = await lookAt({ BUILDER: 'classic', DISK_BUDGET: 'none' });
    expect(said).toMatch(/^ok {4}engine: it can bound a build's memory and processor time$/m);
    expect(said).not.toContain('clip');
    expect(said).toMatch(/^warn {2}disk budget: none.*\n {6}set DISK_BUDGET/m);
  });

  it('is room for its budget', async () => {
    const { said } = await lookAt({ DISK_BUDGET: '900T' });
    expect(said).toMatch(/^warn {2}disk budget: .* of 900\.0 TB\n {6}the disk is full before/m);
  });

  it('cannot be seen all from another machine', async () => {
    const { host, close } = await overTcp(clipping);
    const { said } = await lookAt({ DOCKER_HOST: host, DISK_BUDGET: '50%' });
    await close();
    expect(said).toMatch(
      /^ok {4}engine: whether it clips what steps print cannot be seen from here\n {6}\S/m,
    );
    expect(said).not.toContain("engine's disk");
    expect(said).toMatch(
      /^warn {2}disk budget: a share of .* cannot be seen.*\n {6}set DISK_BUDGET in bytes/m,
    );
  });
});

/** The engine as another machine would reach it. */
async function overTcp({ socket }: LabEngine): Promise<{ host: string; close: () => Promise<void> }> {
  const server = createServer((client) => {
    const upstream = connect(socket);
    client.pipe(upstream).pipe(client);
    for (const end of [client, upstream]) end.on('error', () => end.destroy());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    host: `tcp://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: async () => {
      server.close();
      await once(server, 'close');
    },
  };
}
