import { afterAll, beforeAll, expect, it } from 'vitest';
import { cli } from '../support/cli.ts';
import { startTestApi, type TestApi } from '../support/manager.ts';

/** `quay-build credentials` and `quay-build readable`. test/e2e/registry-auth.test.ts gives a password. */

let http: TestApi;
let url: string;
beforeAll(async () => {
  http = await startTestApi();
  ({ url } = http);
});
afterAll(() => http[Symbol.asyncDispose]());

it('lists and removes the credentials of a namespace', async () => {
  const list = ['credentials', 'list', '--namespace', 'deep/team'];
  expect(await cli(list, { url })).toMatchObject({ code: 0, stdout: 'no credentials\n' });
  const password = http.box.seal('anywhere', 'horse');
  const setBy = { name: 'alice', address: null };
  const credential = {
    namespace: 'deep/team',
    registry: 'r.example:5000',
    username: 'robot',
    password,
    setBy,
  };
  await http.store.credentials.set(credential, 32);
  const { stdout } = await cli(list, { url });
  expect(stdout).toMatch(/^REGISTRY +USER +SET +BY\nr\.example:5000 +robot +\S+Z +alice\n$/);
  const remove = ['credentials', 'remove', '--namespace', 'deep/team', '--registry', 'R.example:5000'];
  expect(await cli(remove, { url })).toMatchObject({ code: 0 });
  const again = await cli(remove, { url });
  expect(again).toMatchObject({ code: 3 });
  expect(again.stderr).toContain('has no credentials for this registry');
});

it('sets none without a password', async () => {
  const place = ['--namespace', 'team', '--registry', 'r.example', '--username', 'robot'];
  const { code, stderr } = await cli(['credentials', 'set', ...place, '--password-stdin'], { url });
  expect([code, stderr]).toEqual([2, expect.stringContaining('Standard input holds no password')]);
  expect((await cli(['credentials', 'set', ...place], { url })).code).toBe(2);
});

it('shows and sets what a namespace may read', async () => {
  const show = ['readable', 'show', '--namespace', 'team'];
  expect((await cli(show, { url })).stdout).toContain('its own repositories and the public ones alone');
  const set = await cli(['readable', 'set', '--namespace', 'team', 'tools/linter', 'platform/*'], { url });
  expect(set).toMatchObject({ code: 0, stdout: 'platform/*\ntools/linter\n' });
  const { stdout } = await cli([...show, '--json'], { url });
  expect(JSON.parse(stdout)).toEqual({ repositories: ['platform/*', 'tools/linter'] });
  const refused = await cli(['readable', 'set', '--namespace', 'team', 'Tools/*'], { url });
  expect(refused.code).toBe(3);
  expect(refused.stderr).toContain('must be a repository, NAMESPACE/* or *');
  expect((await cli(['readable', 'set', '--namespace', 'team'], { url })).stdout).toContain('its own');
});
