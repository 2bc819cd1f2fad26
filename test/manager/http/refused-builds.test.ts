import type { InjectOptions } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startDatabaseServer, type LabDatabaseServer } from '../../../lab/database.ts';
import { buildSchema, type Build } from '../../../src/contract/api.ts';
import { openTestHttp, type Refusal, refusalOf, type TestHttp } from '../support/http.ts';

let database: LabDatabaseServer;
let http: TestHttp;
beforeAll(async () => {
  database = await startDatabaseServer();
  http = await openTestHttp(database, { limits: { packageMax: 1024 } });
});
afterAll(async () => {
  await http[Symbol.asyncDispose]();
  await database.stop();
});

const request = { repository: 'team/app', build_package: 'https://files.example/app.tgz' };
const submit = async (body: typeof request): Promise<Build> =>
  buildSchema.parse((await http.app.inject({ method: 'POST', url: '/api/v1/builds', payload: body })).json());
const refused = (options: InjectOptions): Promise<Refusal> => refusalOf(http, options);
describe('a request that is no build is refused, saying what is wrong and never what was in it', () => {
  it.each<[string, InjectOptions, number, string, RegExp]>([
    ['nothing', {}, 400, 'request_invalid', /body/],
    ['a list', { payload: [] }, 400, 'request_invalid', /body/],
    [
      'no JSON',
      { payload: '{"repository": hunter2', headers: { 'content-type': 'application/json' } },
      400,
      'json_invalid',
      /not JSON/,
    ],
    [
      'another kind of body',
      { payload: 'a=b', headers: { 'content-type': 'text/csv' } },
      415,
      'unsupported_media_type',
      /application\/json/,
    ],
    [
      'more than a body may have',
      { payload: { ...request, context: 'x'.repeat(300_000) } },
      413,
      'body_too_large',
      /larger/,
    ],
    ['an unknown field', { payload: { ...request, colour: 'hunter2' } }, 400, 'request_invalid', /colour/],
    [
      'no repository',
      { payload: { build_package: request.build_package } },
      400,
      'request_invalid',
      /body\.repository/,
    ],
    [
      'a repository in capitals',
      { payload: { ...request, repository: 'Team/Hunter2' } },
      400,
      'request_invalid',
      /must be namespace\/name, in lower case/,
    ],
    [
      'a repository without a namespace',
      { payload: { ...request, repository: 'hunter2' } },
      400,
      'request_invalid',
      /must be namespace\/name/,
    ],
    [
      'a tag that is none',
      { payload: { ...request, tag_names: ['ok', '-hunter2'] } },
      400,
      'request_invalid',
      /body\.tag_names\.1.*must be a tag/,
    ],
    [
      'a registry that is none',
      { payload: { ...request, registry: 'http://hunter2' } },
      400,
      'request_invalid',
      /must be host or host:port/,
    ],
    [
      'a number for a password',
      { payload: { ...request, base_image: { username: 'a', password: 4711 } } },
      400,
      'request_invalid',
      /body\.base_image\.password/,
    ],
    ['no source', { payload: { repository: 'team/app' } }, 400, 'source_ambiguous', /This one has 0/],
    [
      'two sources',
      { payload: { ...request, git: { url: 'https://git.example/a.git' } } },
      400,
      'source_ambiguous',
      /This one has 2/,
    ],
    [
      'a package from a file',
      { payload: { ...request, build_package: 'file:///etc/hunter2' } },
      400,
      'request_invalid',
      /body\.build_package/,
    ],
    [
      'a git URL that is an option',
      { payload: { repository: 'team/app', git: { url: '--upload-pack=hunter2' } } },
      400,
      'git_url_refused',
      /Use http/,
    ],
    [
      'a git URL of a program',
      { payload: { repository: 'team/app', git: { url: 'ext::sh -c hunter2' } } },
      400,
      'git_url_refused',
      /Use http/,
    ],
    [
      'a git URL of a file',
      { payload: { repository: 'team/app', git: { url: 'file:///hunter2' } } },
      400,
      'git_url_refused',
      /Use http/,
    ],
    [
      'a git URL over ssh',
      { payload: { repository: 'team/app', git: { url: 'git@hunter2:team/app.git' } } },
      400,
      'git_url_refused',
      /Use http/,
    ],
    [
      'a build that asks for more time than there is',
      { payload: { ...request, timeout: 50_000 } },
      422,
      'timeout_too_long',
      /"path":"timeout","message":"must be at most 43200"/,
    ],
    [
      'a build that would begin at a time of no zone',
      { payload: { ...request, not_before: '2026-11-20T08:00:00' } },
      400,
      'request_invalid',
      /"path":"body.not_before","message":"must be a time with its zone, as 2026-11-20T08:00:00Z"/,
    ],
    [
      'a build that would begin in years',
      { payload: { ...request, not_before: '2100-01-01T00:00:00Z' } },
      422,
      'not_before_too_late',
      /"path":"not_before","message":"must be at most 366 days from now"/,
    ],
  ])('%s', async (_what, options, status, code, words) => {
    const answer = await refused(options);
    expect(answer).toMatchObject({ status, code });
    expect(answer.text).toMatch(words);
    expect(answer.text).not.toMatch(/hunter2|4711/i);
  });

  it.each([
    ['/api/v1/builds?colour=red', 400, 'request_invalid'],
    ['/api/v1/builds?limit=501', 400, 'request_invalid'],
    ['/api/v1/builds?state=odd', 400, 'request_invalid'],
    ['/api/v1/builds/1', 404, 'build_not_found'],
    ['/api/v1/builds/2f0cf0a8-4a3e-4bb0-9d5a-5b7b6f2c8a11', 404, 'build_not_found'],
    ['/api/v1/nothing', 404, 'not_found'],
    ['/%', 404, 'not_found'],
    [`/api/v1/builds/${'x'.repeat(300)}`, 414, 'uri_too_long'],
  ])('GET %s', async (url, status, code) => {
    expect(await refused({ method: 'GET', url })).toMatchObject({ status, code });
  });

  it('is refused a cancellation of what has ended', async () => {
    const build = await submit({ ...request, repository: 'ended/app' });
    let claim = await http.claim();
    while (claim.build.id !== build.id) claim = await http.claim();
    await http.store.leases.finish(claim.lease, {
      state: 'complete',
      outputs: { image_id: 'sha256:1', digests: { latest: null } },
    });
    const answer = await refused({ url: `/api/v1/builds/${build.id}/cancel` });
    expect(answer).toMatchObject({ status: 409, code: 'build_ended' });
    expect(answer.text).toContain('It is complete.');
    const ended = buildSchema.parse((await http.app.inject(`/api/v1/builds/${build.id}`)).json());
    expect(ended).toMatchObject({ state: 'complete', image_id: 'sha256:1', digests: { latest: null } });
    expect(ended.tries).toMatchObject([{ number: 1, worker: 'worker-1/0', outcome: 'complete' }]);
  });
});
