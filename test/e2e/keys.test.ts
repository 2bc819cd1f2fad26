import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { run } from '../../lab/process.ts';
import { startRegistry } from '../../lab/registry.ts';
import { TOKEN_SERVICE, tokenAuth } from '../../lab/farm.ts';
import {
  ended,
  endlessCommand,
  followUntil,
  hasBegun,
  letGo,
  logOf,
  startE2e,
  submit,
  type E2e,
} from './support.ts';

/** The managers' keys are changed while builds run, and no build notices. */

const QUAY_BUILD_MANAGER = resolve(import.meta.dirname, '../../bin/quay-build-manager');

let e2e: E2e;
beforeAll(async () => {
  e2e = await startE2e();
});
afterAll(() => e2e[Symbol.asyncDispose]());

it('pushes with another key for tokens, and opens what another key has sealed, without a restart of the manager', async () => {
  const { farm, engine, directory } = e2e;
  const worker = await farm.startWorker(engine);
  const keys = (...args: readonly string[]): Promise<string> =>
    run(QUAY_BUILD_MANAGER, ['keys', ...args], {
      env: {
        PATH: process.env['PATH'],
        DATA_DIR: farm.dataDirectory,
        REGISTRY: farm.registry.host,
        REGISTRY_TOKEN_SERVICE: TOKEN_SERVICE,
      },
    });
  const ids: string[] = [];
  const begin = async (number: number, step = `echo ${number}`): Promise<string> => {
    const lines = [
      'FROM busybox:stable',
      'RUN --mount=type=secret,id=word cat /run/secrets/word | wc -c > /word',
      `RUN ${step}`,
    ];
    const request = { repository: 'team/app', tag_names: [`v${number}`], secrets: { word: 'horse' } };
    const { id } = await submit(farm, request, new TextEncoder().encode(`${lines.join('\n')}\n`));
    ids.push(id);
    return id;
  };

  await ended(farm, await begin(1));
  expect(await keys('prepare')).toContain('registry-token-2 is made known');
  await expect(keys('activate', 'registry-token-2')).rejects.toThrow('does not trust registry-token-2 yet');
  const [, port = ''] = farm.registry.host.split(':');
  await farm.registry.stop();
  await using _registry = await startRegistry(tokenAuth(farm.url, farm.dataDirectory), {
    port: Number(port),
    storage: join(directory, 'registry'),
  });

  // Builds wait and run from here on: one worker takes them one after the other.
  for (let number = 2; number <= 4; number += 1) await begin(number);
  await keys('activate', 'registry-token-2');

  const keyFile = join(farm.dataDirectory, 'secret.key');
  const old = await readFile(keyFile, 'utf8');
  // Its secret is sealed with the old key until it ends.
  const command = endlessCommand();
  const held = await begin(5, `echo it has begun; ${command} || true`);
  await followUntil(farm, held, hasBegun);
  await writeFile(keyFile, `${randomBytes(32).toString('base64')}\n${old}`);
  await farm.manager.printed(/the key file was read anew/);
  expect(await keys('reseal')).toMatch(/[1-9]\d* secrets were sealed anew/);
  await begin(6);
  await letGo(farm, held, command);
  await keys('retire', 'registry-token-1', '--force');

  for (const id of ids) {
    expect(await ended(farm, id), await logOf(farm, id)).toMatchObject({ state: 'complete' });
  }
  expect(await keys('list')).toMatch(/registry-token-2 {2}signs/);
  await worker.stop();
});
