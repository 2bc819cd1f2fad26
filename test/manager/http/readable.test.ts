import { afterAll, beforeAll, expect, it } from 'vitest';
import { newApiToken } from '../../../src/manager/http/api-tokens.ts';
import { openGuardedHttp } from '../support/guarded-http.ts';
import { refusalOf, type TestHttp } from '../support/http.ts';

/** What the builds of a namespace may pull beside their own repositories. */

const writer = newApiToken('ci', ['read', 'write', 'credentials']);
const admin = newApiToken('root', ['admin']);
const url = '/api/v1/namespaces/deep%2Fteam/readable';
const headers = { authorization: `Bearer ${admin.token}` };

let http: TestHttp;
beforeAll(async () => {
  http = await openGuardedHttp([writer.entry, admin.entry]);
});
afterAll(() => http[Symbol.asyncDispose]());

const set = async (repositories: readonly string[]): Promise<unknown> => {
  const answer = await http.app.inject({ method: 'PUT', url, payload: { repositories }, headers });
  expect(answer.statusCode, answer.body).toBe(200);
  return answer.json<{ repositories: unknown }>().repositories;
};

it('is nothing at first, then what was set last, and in the audit trail once for each change', async () => {
  expect((await http.app.inject({ url, headers })).json()).toEqual({ repositories: [] });
  expect(await set(['tools/linter', 'platform/*', 'tools/linter'])).toEqual(['platform/*', 'tools/linter']);
  expect(await set(['platform/*', 'tools/linter'])).toEqual(['platform/*', 'tools/linter']);
  expect(await set(['*'])).toEqual(['*']);
  expect(await set([])).toEqual([]);
  expect(await http.store.readable.get('other')).toEqual([]);
  const { entries } = await http.store.audit.list({ object: 'deep/team' }, { limit: 10 });
  expect(entries.map(({ actor, action, detail }) => [actor, action, detail['repositories']])).toEqual([
    ['root', 'readable.set', []],
    ['root', 'readable.set', ['*']],
    ['root', 'readable.set', ['tools/linter', 'platform/*', 'tools/linter']],
  ]);
});

it.each(['Upper/case', 'name', '/*', 'a/*/b', 'team/**', 'a/b:pull', ''])('refuses %j', async (pattern) => {
  const payload = { repositories: ['fine/*', pattern] };
  expect(await refusalOf(http, { method: 'PUT', url, payload, headers })).toMatchObject({
    status: 400,
    details: [{ path: 'body.repositories.1' }],
  });
});

it('is for who has the scope admin', async () => {
  const other = { authorization: `Bearer ${writer.token}` };
  expect((await http.app.inject({ url, headers: other })).statusCode).toBe(403);
  const payload = { repositories: [] };
  expect((await http.app.inject({ method: 'PUT', url, payload, headers: other })).statusCode).toBe(403);
});
