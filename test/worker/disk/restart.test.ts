import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { importBaseImage } from '../../../lab/base-image.ts';
import { startEngine, type LabEngine } from '../../../lab/engine.ts';
import { folderPrefix } from '../../../lab/orphans.ts';
import { type LabPackageServer, startPackageServer } from '../../../lab/package-server.ts';
import { type LabProcess, startProcess } from '../../../lab/process.ts';
import { startRegistry, type LabRegistry } from '../../../lab/registry.ts';
import { someBuild } from '../harness.ts';
import { isInTheStep, startTestManager, type TestManager, type Worker } from '../test-manager.ts';
import { buildImage, engineOf, namesOn } from './support.ts';

/** The program itself, killed in mid-build: what it brought to an engine that others use is known to the next start. */

const MAIN = fileURLToPath(new URL('../../../src/worker/main.ts', import.meta.url));
const SMALL = 'test/base:1';
let directory: string;
let engine: LabEngine;
let registry: LabRegistry;
let packages: LabPackageServer;
let manager: TestManager;

beforeAll(async () => {
  directory = await mkdtemp(`${folderPrefix()}restart-`);
  [engine, registry, packages, manager] = await Promise.all([
    startEngine(),
    startRegistry(),
    startPackageServer(),
    startTestManager(),
  ]);
  await importBaseImage(engine, SMALL);
  for (const name of ['first', 'second', 'foreign'].map(inRegistry)) {
    await buildImage(engineOf(engine), SMALL, name);
    await engine.docker(['push', '--quiet', name]);
    if (name !== inRegistry('foreign')) await engine.docker(['rmi', name]);
  }
  serve('/builds', `FROM ${inRegistry('first')}\nCOPY --from=${inRegistry('foreign')} /bytes /more\n`);
  serve('/hangs', `FROM ${inRegistry('second')}\nRUN echo in the step; sleep 600\n`);
});
afterAll(async () => {
  await Promise.all([engine.stop(), registry.stop(), packages.stop(), manager[Symbol.asyncDispose]()]);
  await rm(directory, { recursive: true });
});

function inRegistry(name: string): string {
  return `${registry.host}/team/${name}:1`;
}

function serve(path: string, dockerfile: string): void {
  packages.serve(path, { kind: 'bytes', body: Buffer.from(dockerfile), contentType: 'text/plain' });
}

async function start(budget: string): Promise<{ program: LabProcess; connection: Worker }> {
  const program = startProcess(process.execPath, [MAIN], {
    env: {
      PATH: process.env['PATH'],
      WORK_DIR: join(directory, 'work'),
      WORKER_ID: 'restarted',
      DOCKER_HOST: engine.dockerHost,
      ENDPOINT: manager.url.href,
      LOG_FORMAT: 'json',
      DISK_BUDGET: budget,
    },
  });
  const connection = await manager.connection();
  await program.printed(/worker is ready/);
  return { program, connection };
}

function buildOf(path: string): Record<string, unknown> {
  const build = { ...someBuild, registry: registry.host, build_package: packages.url + path };
  return { ...build, push_token: '', pull_token: '' };
}

it('is killed, started with a smaller budget, and removes what it brought and nothing else', async () => {
  const before = await start('1T');
  expect((await before.connection.build(buildOf('/builds'))).error).toBeNull();
  const hanging = before.connection.build(buildOf('/hangs'));
  hanging.catch(() => undefined);
  await before.connection.frame(isInTheStep);
  before.program.kill('SIGKILL');
  await before.program.exited;
  const built = `${registry.host}/team/app:latest`;
  expect(await namesOn(engine)).toEqual(
    [SMALL, built, ...['first', 'second', 'foreign'].map(inRegistry)].sort(),
  );

  await using after = (await start('1')).program;
  await after.printed(/made room on the engine/);
  expect(await namesOn(engine)).toEqual([SMALL, inRegistry('foreign')].sort());
  after.kill('SIGTERM');
  expect(await after.exited).toBe(0);
  const record = await readFile(join(directory, 'work', 'restarted', 'engine.json'), 'utf8');
  expect(record).not.toContain('first');
});
