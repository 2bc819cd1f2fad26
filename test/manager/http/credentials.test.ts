import type { LightMyRequestResponse } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { credentialListSchema, credentialSchema } from '../../../src/contract/api/registries.ts';
import { newApiToken } from '../../../src/manager/http/api-tokens.ts';
import { credentialContext } from '../../../src/manager/registry/credentials.ts';
import { openGuardedHttp } from '../support/guarded-http.ts';
import { refusalOf, type TestHttp } from '../support/http.ts';

const PASSWORD = 'correct-horse-battery';
const keeper = newApiToken('keeper', ['credentials']);
const writer = newApiToken('ci', ['read', 'write']);
const admin = newApiToken('root', ['admin']);

let http: TestHttp;
beforeAll(async () => {
  http = await openGuardedHttp([keeper.entry, writer.entry, admin.entry]);
});
afterAll(() => http[Symbol.asyncDispose]());

const pathOf = (namespace: string, registry?: string): string =>
  `/api/v1/namespaces/${encodeURIComponent(namespace)}/credentials` +
  (registry === undefined ? '' : `/${encodeURIComponent(registry)}`);
const by = ({ token }: typeof keeper): { authorization: string } => ({ authorization: `Bearer ${token}` });
const put = (url: string, payload: object, headers = by(keeper)): Promise<LightMyRequestResponse> =>
  http.app.inject({ method: 'PUT', url, payload, headers });

describe('the credentials of a namespace', () => {
  it('are set, listed and removed, by the name of who did it, and never shown', async () => {
    const user = { username: 'robot$builds', password: PASSWORD };
    const set = await put(pathOf('deep/team', 'Registry.Example:5000'), user);
    expect(set.statusCode, set.body).toBe(200);
    expect(credentialSchema.parse(set.json())).toMatchObject({
      registry: 'registry.example:5000',
      username: 'robot$builds',
      set_by: 'keeper',
    });
    await put(pathOf('deep/team', 'index.docker.io'), user, by(admin));
    const listed = await http.app.inject({ url: pathOf('deep/team'), headers: by(keeper) });
    expect(credentialListSchema.parse(listed.json()).credentials).toMatchObject([
      { registry: 'docker.io', set_by: 'root' },
      { registry: 'registry.example:5000', set_by: 'keeper' },
    ]);
    const url = pathOf('deep/team', 'docker.io');
    const removed = await http.app.inject({ method: 'DELETE', url, headers: by(keeper) });
    expect([removed.statusCode, removed.body]).toEqual([204, '']);
    const again = await refusalOf(http, { method: 'DELETE', url, headers: by(keeper) });
    expect(again).toMatchObject({ status: 404, code: 'credential_not_found' });
    expect(set.body + listed.body + http.logged()).not.toContain(PASSWORD);
  });

  it('are sealed for their place alone', async () => {
    await put(pathOf('team', 'r.example'), { username: 'robot', password: PASSWORD });
    const build = { repository: 'team/app', registry: 'r.example', build_package: 'https://x.example/a.tgz' };
    await http.app.inject({ method: 'POST', url: '/api/v1/builds', payload: build, headers: by(writer) });
    const { credentials } = await http.claim(['registry-auth']);
    const sealed = credentials[0]?.password ?? new Uint8Array();
    expect(Buffer.from(sealed).includes(PASSWORD)).toBe(false);
    expect(http.box.open(credentialContext('team', 'r.example'), sealed)).toBe(PASSWORD);
    expect(() => http.box.open(credentialContext('team', 'other.example'), sealed)).toThrow();
    expect(() => http.box.open(credentialContext('strangers', 'r.example'), sealed)).toThrow();
  });

  it.each([
    ['a namespace', pathOf('No', 'r.example'), { username: 'robot', password: PASSWORD }, 'params.namespace'],
    ['a registry', pathOf('team', 'https://r'), { username: 'robot', password: PASSWORD }, 'params.registry'],
    ['a user', pathOf('team', 'r.example'), { username: 'a:b', password: PASSWORD }, 'body.username'],
    ['a password', pathOf('team', 'r.example'), { username: 'robot', password: '' }, 'body.password'],
    ['text', pathOf('team', 'r.example'), { username: 'robot', password: `${PASSWORD}\0` }, 'body.password'],
  ])('refuse what is no %s by name, without repeating it', async (_what, url, payload, path) => {
    const refused = await refusalOf(http, { method: 'PUT', url, payload, headers: by(keeper) });
    expect(refused).toMatchObject({ status: 400, code: 'request_invalid', details: [{ path }] });
    expect(refused.text).not.toContain(PASSWORD);
  });

  it('are for who has the scope', async () => {
    const user = { username: 'robot', password: PASSWORD };
    const headers = by(writer);
    expect((await put(pathOf('team', 'r.example'), user, headers)).statusCode).toBe(403);
    expect((await http.app.inject({ url: pathOf('team'), headers })).statusCode).toBe(403);
    expect((await http.app.inject({ url: '/api/v1/builds', headers: by(keeper) })).statusCode).toBe(403);
  });

  it('are 32 at most', async () => {
    const user = { username: 'robot', password: PASSWORD };
    for (let number = 1; number <= 32; number += 1) {
      expect((await put(pathOf('many', `r${number}.example`), user)).statusCode).toBe(200);
    }
    const refused = await refusalOf(http, {
      method: 'PUT',
      url: pathOf('many', 'r33.example'),
      payload: user,
      headers: by(keeper),
    });
    expect(refused).toMatchObject({ status: 409, code: 'credentials_full' });
  });
});
