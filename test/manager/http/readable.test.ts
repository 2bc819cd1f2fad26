import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startDatabaseServer, type LabDatabaseServer } from '../../../lab/database.ts';
import { loadApiTokens, newApiToken } from '../../../src/manager/http/api-tokens.ts';
import { openTestHttp, refusalOf, type TestHttp } from '../support/http.ts';

/** What the builds of a namespace may pull beside their own repositories. */

const writer = newApiToken('ci', ['read', 'write', 'credentials']);
const admin = newApiToken('root', ['admin']);
const url = '/api/v1/namespaces/deep%2Fteam/readable';
const headers = { authorization: `Bearer ${admin.token}` };

let directory: string;
let database: LabDatabaseServer;
let http: TestHttp;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'readable-'));
  const path = join(directory, 'tokens.json');
  await writeFile(path, JSON.stringify([writer.entry, admin.entry]));
  database = await startDatabaseServer();
  const tokens = await loadApiTokens(path, (error) => {
    throw error;
  });
  http = await openTestHttp(database, { tokens });
});
afterAll(async () => {
  await http[Symbol.asyncDispose]();
  await database.stop();
  await rm(directory, { recursive: true });
});

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
