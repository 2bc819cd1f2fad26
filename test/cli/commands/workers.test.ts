import { afterAll, beforeAll, expect, it } from 'vitest';
import { workerHistorySchema, workerListSchema } from '../../../src/contract/api.ts';
import { newApiToken } from '../../../src/manager/http/api-tokens.ts';
import { openTestHttp } from '../../manager/support/http.ts';
import { cli, startCli } from '../support/cli.ts';
import { startTestApi, type TestApi } from '../support/manager.ts';

/** `quay-build workers`, at a manager whose workers the test says. Who may do what with them, too. */

let http: TestApi;
let url: string;
beforeAll(async () => {
  http = await startTestApi();
  ({ url } = http);
  const seen = new Date();
  await http.store.workers.put([
    {
      realm: 'realm-1',
      id: 'worker-1',
      slot: 0,
      slots: 2,
      kind: 'enterprise',
      state: 'ready',
      labels: {},
      extensions: ['cancel'],
      kinds: ['image'],
      address: '192.0.2.4:5000',
      manager: 'manager-1',
      connectedAt: seen,
      lastSeenAt: seen,
      buildId: null,
      registeredAs: 'farm-1',
    },
  ]);
});
afterAll(() => http[Symbol.asyncDispose]());

it('drains a worker, waits for its builds unless it is interrupted, and lists and shows it', async () => {
  const payload = { repository: 'team/app', build_package: 'https://files.example/a.tgz' };
  await http.app.inject({ method: 'POST', url: '/api/v1/builds', payload });
  const { build, lease } = await http.claim();
  const waiting = startCli(['workers', 'drain', 'worker-1', '--wait'], { url });
  await waiting.printed(/waiting for 1 build/);
  waiting.interrupt();
  expect(await waiting.ended).toMatchObject({
    code: 130,
    stderr: expect.stringContaining('stays drained') as string,
  });
  expect(await cli(['workers', 'drain', 'worker-1'], { url })).toMatchObject({
    code: 0,
    stdout: 'worker-1 is draining: 1 build goes on\n',
  });
  await http.store.leases.finish(lease, { state: 'complete', outputs: {} });
  const [table, list, text, shown] = await Promise.all(
    [
      ['workers'],
      ['workers', '--json'],
      ['workers', 'show', 'worker-1'],
      ['workers', 'show', 'worker-1', '--json'],
    ].map(async (args) => (await cli(args, { url })).stdout),
  );
  expect(table).toMatch(/^worker-1 +1\/2 +drained +enterprise/m);
  expect(workerListSchema.parse(JSON.parse(list ?? '')).workers).toHaveLength(1);
  expect(text).toMatch(/^state {7}drained, by anonymous since 20/m);
  expect(text).toMatch(/^ticket {6}farm-1$/m);
  expect(text).toMatch(/^tries {7}1 complete$/m);
  expect(text).toMatch(new RegExp(`^${build.id.slice(0, 8)} +1 +team/app:latest +complete`, 'm'));
  expect(workerHistorySchema.parse(JSON.parse(shown ?? '')).outcomes).toMatchObject({ complete: 1, lost: 0 });
});

it('resumes and forgets a worker, and lists who is drained and away', async () => {
  expect((await cli(['workers', 'resume', 'worker-1'], { url })).stdout).toBe('worker-1 is ready\n');
  expect((await cli(['workers', 'forget', 'worker-1'], { url })).stdout).toBe('worker-1 is forgotten\n');
  await http.store.workers.drain('worker-1', { name: 'alice', address: null });
  expect((await cli(['workers', 'list'], { url })).stdout).toBe(
    'no workers\nworker-1 is not connected, and drained by alice\n',
  );
});

it('says so of a worker that nobody knows, whatever its id is', async () => {
  for (const [command, id] of [
    ['show', 'a/b'],
    ['forget', 'nobody'],
  ] as const) {
    const { code, stderr } = await cli(['workers', command, id], { url });
    expect(code).toBe(3);
    expect(stderr).toContain('There is no worker with this id');
  }
  for (const id of ['nobody', 'a%2Fb', '%00', '%ED%A0%80', '%C3%A4']) {
    for (const [method, path] of [
      ['GET', ''],
      ['POST', '/drain'],
      ['POST', '/resume'],
      ['DELETE', ''],
    ] as const) {
      const { statusCode } = await http.app.inject({ method, url: `/api/v1/workers/${id}${path}` });
      expect(`${method} ${id} ${statusCode}`).toBe(`${method} ${id} 404`);
    }
  }
});

it('lets only those drain, resume and forget who may do everything', async () => {
  const reader = newApiToken('reader', ['read', 'write']);
  const admin = newApiToken('root', ['admin']);
  const guarded = await openTestHttp(http.database, {
    tokens: {
      authenticate: (token) => {
        const found = [reader, admin].find((each) => each.token === token)?.entry;
        return Promise.resolve(found ? { name: found.name, scopes: found.scopes } : null);
      },
    },
  });
  await using _guarded = guarded;
  for (const [method, path] of [
    ['POST', '/drain'],
    ['POST', '/resume'],
    ['DELETE', ''],
  ] as const) {
    const status = async ({ token }: typeof reader): Promise<number> => {
      const headers = { authorization: `Bearer ${token}` };
      return (await guarded.app.inject({ method, url: `/api/v1/workers/x${path}`, headers })).statusCode;
    };
    expect(await status(reader)).toBe(403);
    expect(await status(admin)).toBe(404);
  }
});
