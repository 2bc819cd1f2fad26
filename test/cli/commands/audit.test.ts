import { afterAll, beforeAll, expect, it } from 'vitest';
import { cli } from '../support/cli.ts';
import { startTestApi, type TestApi } from '../support/manager.ts';

let http: TestApi;
let url: string;
beforeAll(async () => {
  http = await startTestApi();
  ({ url } = http);
  const ci = { name: 'ci', address: '192.0.2.7' };
  await http.store.audit.record({ actor: ci, action: 'worker.drain', object: 'worker-1' });
  const detail = { username: 'robot \u001b[2J', tags: ['a'] };
  await http.store.audit.record({
    actor: ci,
    action: 'credential.set',
    object: 'team/registry.example',
    detail,
  });
});
afterAll(() => http[Symbol.asyncDispose]());

it('lists who did what, newest first, for people', async () => {
  const { code, stdout } = await cli(['audit', '--since', '1d'], { url });
  expect(code).toBe(0);
  expect(stdout.split('\n').map((line) => line.replace(/^\S+Z/, 'TIME'))).toEqual([
    expect.stringMatching(/^TIME +ACTOR +ADDRESS +ACTION +OBJECT +DETAIL$/),
    String.raw`TIME  ci     192.0.2.7  credential.set  team/registry.example  tags=["a"] username="robot \u001b[2J"`,
    expect.stringMatching(/^TIME +ci +192\.0\.2\.7 +worker\.drain +worker-1$/),
    '',
  ]);
  expect((await cli(['audit', '--until', '2020-01-01'], { url })).stdout).toBe('nothing\n');
});

it('prints an entry a line for programs', async () => {
  const { stdout } = await cli(['audit', '--action', 'worker', '--actor', 'ci', '--json'], { url });
  expect(JSON.parse(stdout)).toMatchObject({ actor: 'ci', action: 'worker.drain', object: 'worker-1' });
});

it.each([
  [['audit', '--since', 'yesterday'], 2, /--since yesterday is no time.*2026-11-20/s],
  [['audit', '--since', '7'], 2, /is no time/],
  [['audit', '--limit', '0'], 2, /limit/],
])('%j is refused with exit code %i', async (args, exitCode, words) => {
  const { code, stderr } = await cli(args, { url });
  expect(stderr).toMatch(words);
  expect(code).toBe(exitCode);
});
