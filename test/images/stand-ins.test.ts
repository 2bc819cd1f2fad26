import { afterAll, beforeAll, expect, it } from 'vitest';
import { startEngine, type LabEngine } from '../../lab/engine.ts';
import { importStandIns } from '../../lab/stand-ins.ts';

/** What the Dockerfiles are tested on must refuse what the real bases would. */

let engine: LabEngine;
beforeAll(async () => {
  engine = await startEngine();
  await importStandIns(engine, ['docker.io/library/alpine:3.22']);
});
afterAll(() => engine.stop());

const inAlpine = (script: string): Promise<string> =>
  engine.docker(['run', '--rm', 'alpine:3.22', 'sh', '-c', script]);

it('what was not installed is not there', async () => {
  await expect(inAlpine('git --version')).rejects.toThrow('git: not found');
});

it('a package is installed by the name that the distribution has for it', async () => {
  expect(await inAlpine('apk add --no-cache git && git --version')).toContain('git version');
  await expect(inAlpine('apk add --no-cache git-core')).rejects.toThrow('no package git-core');
});
