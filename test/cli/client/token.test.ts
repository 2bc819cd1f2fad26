import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { newApiToken } from '../../../src/manager/http/api-tokens.ts';
import { cli } from '../support/cli.ts';
import { startTestApi, type TestApi } from '../support/manager.ts';

/** Where `quay-build` has the token from that it shows. */

const { token, entry } = newApiToken('joe', ['read']);
let http: TestApi;
let url: string;
let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cli-token-'));
  http = await startTestApi({
    tokens: { authenticate: (given) => Promise.resolve(given === token ? entry : null) },
  });
  ({ url } = http);
});
afterAll(async () => {
  await http[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

const list = (env: NodeJS.ProcessEnv): ReturnType<typeof cli> => cli(['list'], { url, env });

it('is the variable, or the file that another names, its last line with an end or without', async () => {
  const file = join(directory, 'token');
  expect(await list({})).toMatchObject({ code: 3 });
  expect(await list({ QUAY_BUILD_TOKEN: token })).toMatchObject({ code: 0 });
  for (const content of [token, `${token}\n`, `${token}\r\n`]) {
    await writeFile(file, content);
    expect(await list({ QUAY_BUILD_TOKEN: '', QUAY_BUILD_TOKEN_FILE: file })).toMatchObject({ code: 0 });
  }
});

it('is refused when it cannot be one, without being shown', async () => {
  const file = join(directory, 'two-lines');
  await writeFile(file, `${token}\n${token}\n`);
  const outputs = await Promise.all([
    list({ QUAY_BUILD_TOKEN: `${token}\n${token}` }),
    list({ QUAY_BUILD_TOKEN: `${token} ` }),
    list({ QUAY_BUILD_TOKEN: `töken-${token}` }),
    list({ QUAY_BUILD_TOKEN_FILE: file }),
  ]);
  expect(outputs.map(({ code }) => code)).toEqual([2, 2, 2, 2]);
  for (const { stderr } of outputs) expect(stderr).toContain('is no token');
  expect(JSON.stringify(outputs)).not.toContain(token);
});

it('is refused from two places, and from a file that is not there, empty or without an end, without being shown', async () => {
  const file = join(directory, 'empty');
  await writeFile(file, '\n');
  const outputs = await Promise.all([
    list({ QUAY_BUILD_TOKEN: token, QUAY_BUILD_TOKEN_FILE: file }),
    list({ QUAY_BUILD_TOKEN_FILE: join(directory, 'nowhere') }),
    list({ QUAY_BUILD_TOKEN_FILE: file }),
    list({ QUAY_BUILD_TOKEN_FILE: '/dev/zero' }),
  ]);
  expect(outputs.map(({ code }) => code)).toEqual([2, 2, 2, 2]);
  const [both, nowhere, empty, endless] = outputs.map(({ stderr }) => stderr);
  expect(both).toContain('are both set');
  expect(nowhere).toContain('ENOENT');
  expect(empty).toContain('is empty');
  expect(endless).toContain('it has more than 65536 bytes');
  expect(JSON.stringify(outputs)).not.toContain(token);
});
