import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startEngine, type LabEngine } from '../../lab/engine.ts';
import { freePort, startProcess } from '../../lab/process.ts';
import { startRegistry, type LabRegistry } from '../../lab/registry.ts';
import { startTestManager, type TestManager } from './test-manager.ts';

/** `quay-builder doctor`, on real things and on missing ones. */

const MAIN = new URL('../../src/worker/main.ts', import.meta.url).pathname;

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

it('sees that the classic builder is asked for, and what that costs', async () => {
  const { exitCode, said } = await doctor({
    ENDPOINT: manager.url.href,
    DOCKER_HOST: engine.dockerHost,
    BUILDER: 'classic',
  });
  expect(said).toMatch(/^warn {2}engine: .* builds with classic\n {6}it has no BuildKit/m);
  expect(exitCode).toBe(0);
});
