import type { LightMyRequestResponse } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildSchema, problemSchema, type Build, type BuildRequestBody } from '../../../src/contract/api.ts';
import { namespaceListSchema, namespaceViewSchema } from '../../../src/contract/api/namespaces.ts';
import { newApiToken } from '../../../src/manager/http/api-tokens.ts';
import { startCli } from '../../cli/support/cli.ts';
import { openGuardedHttp } from '../support/guarded-http.ts';
import { refusalOf, type TestHttp } from '../support/http.ts';

const writer = newApiToken('ci', ['read', 'write']);
const admin = newApiToken('root', ['admin']);

let http: TestHttp;
beforeAll(async () => {
  http = await openGuardedHttp([writer.entry, admin.entry]);
});
afterAll(() => http[Symbol.asyncDispose]());

const by = ({ token }: typeof admin): { authorization: string } => ({ authorization: `Bearer ${token}` });
const pathOf = (namespace: string): string => `/api/v1/namespaces/${encodeURIComponent(namespace)}`;
const put = (namespace: string, payload: object, headers = by(admin)): Promise<LightMyRequestResponse> =>
  http.app.inject({ method: 'PUT', url: pathOf(namespace), payload, headers });
const submit = (overrides: Partial<BuildRequestBody>): Promise<LightMyRequestResponse> =>
  http.app.inject({
    method: 'POST',
    url: '/api/v1/builds',
    headers: by(writer),
    payload: { repository: 'team/app', build_package: 'http://127.0.0.1:9/package.tar', ...overrides },
  });
const built = (answer: LightMyRequestResponse): Build => buildSchema.parse(answer.json());

describe('the share of a namespace', () => {
  it('is shown, set, listed and reset', async () => {
    const nothing = { weight: null, max_running: null, max_waiting: null };
    const before = await http.app.inject({ url: pathOf('deep/team'), headers: by(admin) });
    expect(namespaceViewSchema.parse(before.json())).toEqual({
      name: 'deep/team',
      settings: nothing,
      weight: 1,
      max_running: null,
      max_waiting: 10_000,
      running: 0,
      waiting: 0,
    });
    const set = await put('deep/team', { weight: 2.5, max_running: 3 });
    expect(namespaceViewSchema.parse(set.json())).toMatchObject({
      settings: { weight: 2.5, max_running: 3, max_waiting: null },
      weight: 2.5,
      max_running: 3,
      max_waiting: 10_000,
    });
    const listed = await http.app.inject({ url: '/api/v1/namespaces', headers: by(admin) });
    expect(namespaceListSchema.parse(listed.json()).namespaces.map(({ name }) => name)).toEqual([
      'deep/team',
    ]);
    const reset = await http.app.inject({ method: 'DELETE', url: pathOf('deep/team'), headers: by(admin) });
    expect(reset.statusCode).toBe(204);
    const after = await http.app.inject({ url: pathOf('deep/team'), headers: by(admin) });
    expect(namespaceViewSchema.parse(after.json()).settings).toEqual(nothing);
    const { entries } = await http.store.audit.list({ object: 'deep/team' }, { limit: 10 });
    expect(entries.map(({ actor, action }) => [actor, action])).toEqual([
      ['root', 'namespace.reset'],
      ['root', 'namespace.set'],
    ]);
  });

  it('is listed a page at a time, from where a page ended', async () => {
    for (const name of ['page-a', 'page-b']) await put(name, { weight: 2 });
    const page = async (query: string) =>
      http.app.inject({ url: `/api/v1/namespaces?limit=1${query}`, headers: by(admin) });
    const first = namespaceListSchema.parse((await page('')).json());
    expect(first.next_cursor).toBe('page-a');
    const second = namespaceListSchema.parse((await page('&cursor=page-a')).json());
    expect(second.namespaces.map(({ name }) => name)).toEqual(['page-b']);
    for (const cursor of ['%00', 'No%20Name', '']) {
      const refused = await page(`&cursor=${cursor}`);
      expect(refused.statusCode).toBe(400);
      expect(refused.body).toContain("must be the next_cursor of this list's last answer");
    }
  });

  it('is for who may do everything, and of a shape', async () => {
    const refused = await refusalOf(http, {
      method: 'PUT',
      url: pathOf('team'),
      payload: { weight: 2 },
      headers: by(writer),
    });
    expect(refused).toMatchObject({ status: 403, code: 'forbidden' });
    for (const payload of [
      { weight: 0 },
      { weight: -1 },
      { max_running: 1.5 },
      { max_waiting: -1 },
      { maximum: 1 },
    ]) {
      const wrong = await refusalOf(http, {
        method: 'PUT',
        url: pathOf('team'),
        payload,
        headers: by(admin),
      });
      expect(wrong).toMatchObject({ status: 400, code: 'request_invalid' });
    }
  });

  it('is set by the command line too, which leaves alone what is not given', async () => {
    await http.app.listen({ host: '127.0.0.1', port: 0 });
    const address = http.app.server.address();
    const url = `http://127.0.0.1:${typeof address === 'object' ? (address?.port ?? 0) : 0}`;
    const env = { QUAY_BUILD_TOKEN: admin.token };
    const run = (...args: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> =>
      startCli(['namespaces', ...args], { url, env }).ended;
    expect(await run('set', 'team', '--max-running', '4', '--weight', '2')).toMatchObject({ code: 0 });
    const { stdout } = await run('set', 'team', '--weight', 'default', '--max-waiting', '7');
    expect(stdout).toMatch(/^NAMESPACE +WEIGHT +RUNNING +WAITING\nteam +1 +0 of 4 +0 of 7\n$/);
    expect(await run('set', 'team')).toMatchObject({ code: 2 });
    expect(await run('reset', 'team')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('0 of any') as string,
    });
  });
});

describe('a build', () => {
  it('is refused when as many of its namespace wait as may, and says what to do', async () => {
    await put('full', { max_waiting: 1 });
    expect((await submit({ repository: 'full/app' })).statusCode).toBe(201);
    const refused = await submit({ repository: 'full/app' });
    expect(refused.statusCode).toBe(429);
    expect(refused.headers['retry-after']).toBe('30');
    expect(problemSchema.parse(refused.json())).toMatchObject({
      code: 'namespace_full',
      message: expect.stringContaining('1 of full wait') as string,
    });
  });

  it('with the key of one that has not ended is that one', async () => {
    const first = await submit({ dedupe_key: 'push 1' });
    expect(first.statusCode).toBe(201);
    const again = await submit({ dedupe_key: 'push 1', priority: 7 });
    expect(again.statusCode).toBe(200);
    expect(built(again)).toEqual(built(first));
    expect((await submit({ dedupe_key: 'push 1', repository: 'other/app' })).statusCode).toBe(201);
  });

  it('shows what it asks for', async () => {
    const asks = {
      worker_labels: ['zone=north', '!gpu'],
      priority: -3,
      not_before: new Date(Date.now() + 365 * 86_400_000).toISOString(),
      exclusive: true,
      dedupe_key: 'key',
    };
    const build = built(await submit(asks));
    expect(build).toMatchObject({ ...asks, worker_labels: ['!gpu', 'zone=north'], state: 'waiting' });
  });

  it('that requires a worker is refused while none could ever take it', async () => {
    const asks = { repository: 'picky/app', worker_labels: ['zone=moon'], require_worker: true };
    const refused = await submit(asks);
    expect(refused.statusCode).toBe(409);
    expect(problemSchema.parse(refused.json()).code).toBe('no_worker_fits');
    await http.store.executors.put('manager-2', [
      { name: 'rocket', kinds: ['image'], extensions: [], labels: { zone: 'moon' }, namespaces: ['picky'] },
    ]);
    expect((await submit(asks)).statusCode).toBe(201);
    expect((await submit({ ...asks, repository: 'other/app' })).statusCode).toBe(409);
  });

  it.each([
    { worker_labels: ['zone'] },
    { worker_labels: Array.from({ length: 33 }, (_, index) => `label-${index}=*`) },
    { priority: 1001 },
    { not_before: 'tomorrow' },
    { dedupe_key: '' },
  ])('that asks for %j is refused', async (asks) => {
    const refused = await submit(asks);
    expect(refused.statusCode).toBe(400);
    expect(problemSchema.parse(refused.json()).code).toBe('request_invalid');
  });
});
