import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import type { InjectOptions } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startDatabaseServer, type LabDatabaseServer } from '../../../lab/database.ts';
import { buildListSchema, buildSchema, problemSchema, type Build } from '../../../src/contract/api.ts';
import { hashSecret } from '../../../src/manager/secrets/tokens.ts';
import { DatabaseAway } from '../../../src/store/index.ts';
import { imageSecretsSchema, secretsContext } from '../../../src/manager/submission/image-build.ts';
import {
  buildParts,
  multipart,
  openTestHttp,
  type Refusal,
  refusalOf,
  type TestHttp,
} from '../support/http.ts';

let database: LabDatabaseServer;
const KEY = '-----BEGIN OPENSSH PRIVATE KEY-----\nS3CR3TLINE\n-----END OPENSSH PRIVATE KEY-----\n';
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
/** The packages that lie in the blob store without a build: none may stay of one that was refused. */
const strayPackages = async (): Promise<string[]> => {
  const rows = await http.store.packages.condemn({ pendingSeconds: 0, endedSeconds: 1_000_000 });
  const blobs = await Promise.all(rows.map((id) => http.blobs.open(id)));
  for (const blob of blobs) blob?.content.destroy();
  return rows.filter((_id, index) => blobs[index] !== null);
};

describe('submitting a build', () => {
  it('answers with the build, which can be looked at, listed and cancelled', async () => {
    const answer = await http.app.inject({ method: 'POST', url: '/api/v1/builds', payload: request });
    expect(answer.statusCode).toBe(201);
    const build = buildSchema.parse(answer.json());
    expect(build).toMatchObject({
      state: 'waiting',
      repository: 'team/app',
      registry: 'registry.example:5000',
      tag_names: ['latest'],
      source: { type: 'url', url: 'https://files.example/app.tgz' },
      submitted_by: 'anonymous',
      tries: [],
    });
    expect(answer.headers.location).toBe(`/api/v1/builds/${build.id}`);
    expect((await http.app.inject(`/api/v1/builds/${build.id}`)).json()).toEqual(build);

    const page = buildListSchema.parse((await http.app.inject('/api/v1/builds?state=waiting')).json());
    expect(page.builds.map(({ id }) => id)).toContain(build.id);

    const cancel = `/api/v1/builds/${build.id}/cancel`;
    for (const _again of [1, 2]) {
      const cancelled = await http.app.inject({ method: 'POST', url: cancel });
      expect(cancelled.statusCode).toBe(200);
      expect(buildSchema.parse(cancelled.json()).state).toBe('cancelled');
    }
  });

  it('gives a build that has options only to a worker that knows them, and shows them', async () => {
    const options = { build_args: { V: '1' }, target: 'app', labels: { team: 'blue' } };
    for (const [more, needed] of [
      [{}, []],
      [options, ['build-options']],
      [{ target: 'app' }, ['build-options']],
      [{ labels: { team: 'blue' } }, ['build-options']],
      [{ oci_labels: false }, ['build-options']],
      [{ secrets: { token: 'SECRET-VALUE-1' } }, ['secrets']],
      [{ ssh: { default: KEY }, target: 'app' }, ['build-options', 'ssh']],
      [{ platform: 'linux/arm64' }, ['platform']],
      [{ cache_from: ['host:5000/a/b:c'] }, ['cache']],
      [{ cache_to: ['cache'] }, ['cache']],
      [{ limits: { cpus: 1.5 } }, ['limits']],
      [{ registry_auth: { 'a.example': { username: 'me', password: 'S3CR3T' } } }, ['registry-auth']],
      [{ timeout: 60, network: 'none' }, ['limits', 'network']],
    ] as const) {
      const build = await submit({ ...request, ...more });
      if (!('secrets' in more) && !('ssh' in more) && !('registry_auth' in more))
        expect(build).toMatchObject({ build_args: {}, target: '', labels: {}, ...more });
      expect((await http.store.builds.get(build.id))?.requiredExtensions).toEqual(needed);
    }
  });

  it.each([
    [
      { build_args: { V: 'x'.repeat(40_000) } },
      /"path":"body.build_args","message":"must be at most 100 entries/,
    ],
    [{ build_args: { 'A-B': '' } }, /"path":"body.build_args.A-B","message":"must be the name of an ARG/],
    [{ labels: { 'a b': '' } }, /"path":"body.labels.a b","message":"must be the name of a label/],
    [{ secrets: { 'a/b': 'SECRET' } }, /^(?!.*SECRET).*"path":"body.secrets.a\/b","message":"must be the id/],
    [{ secrets: { a: '\n'.repeat(2000) } }, /"path":"body.secrets","message":"must have at most 2000 lines/],
    [{ secrets: { a: 'x'.repeat(16_385) } }, /"path":"body.secrets","message":".* of 16384 characters each/],
    [{ platform: 'linux/amd64,linux/arm64' }, /"path":"body.platform","message":"must be os\/architecture/],
    [{ cache_from: ['Host/a@b'] }, /"path":"body.cache_from.0","message":"must be the name of an image/],
    [
      { registry_auth: { 'http://a': { username: 'me', password: 'SECRET' } } },
      /^(?!.*SECRET).*"path":"body.registry_auth.http:\/\/a","message":"/,
    ],
    [
      { limits: { memory: 1 } },
      /"path":"body.limits.memory","message":"must be a whole number of bytes, from 6291456/,
    ],
    [{ timeout: 0 }, /"path":"body.timeout","message":"must be a whole number of seconds from 1 to 86400"/],
    [{ network: 'container:x' }, /"path":"body.network"/],
    [{ cache_to: ['a/b:c'] }, /"path":"body.cache_to.0","message":"must be a tag/],
    [{ ssh: { a: 'SECRET' } }, /^(?!.*SECRET).*"path":"body.ssh.a","message":"must be a private key/],
    [
      { ssh: Object.fromEntries(Array.from({ length: 17 }, (_, id) => [`k${id}`, KEY])) },
      /"path":"body.ssh","message":"must be at most 16 keys/,
    ],
    [{ target: 'a b' }, /"path":"body.target","message":"must be the name of a stage/],
  ])('points at the option that is wrong (%#)', async (options, words) => {
    const { status, code, text } = await refused({ payload: { ...request, ...options } });
    expect([status, code]).toEqual([400, 'request_invalid']);
    expect(text).toMatch(words);
  });

  it.each([
    [{ context: '../../etc' }, 'body.context', 'leaves the package'],
    [{ context: 'app/../..' }, 'body.context', 'leaves the package'],
    [{ dockerfile_path: '../Dockerfile' }, 'body.dockerfile_path', 'leaves the package'],
    [{ context: 'app', dockerfile_path: '../../Dockerfile' }, 'body.dockerfile_path', 'leaves the package'],
    [{ context: 'a\0b' }, 'body.context', 'NUL'],
    [{ dockerfile_path: '\ud800' }, 'body.dockerfile_path', 'NUL'],
    [{ build_package: 'https://files.example/\0' }, 'body.build_package', 'NUL'],
    [
      { build_package: undefined, git: { url: 'https://git.example/a.git', ref: '\0' } },
      'body.git.ref',
      'NUL',
    ],
    [{ build_args: { V: '\0' } }, 'body.build_args.V', 'NUL'],
    [{ labels: { '\ud800': '' } }, 'body.labels', 'NUL'],
    [{ secrets: { a: '\0' } }, 'body.secrets.a', 'NUL'],
  ])('refuses %j, which no worker could build', async (options, path, words) => {
    const { status, code, details } = await refused({ payload: { ...request, ...options } });
    expect([status, code]).toEqual([400, 'request_invalid']);
    expect(details).toEqual([{ path, message: expect.stringContaining(words) as string }]);
  });

  it('takes a Dockerfile above its context, within the package', async () => {
    const paths = { context: '/app/api', dockerfile_path: '../../docker/Dockerfile' };
    expect(await submit({ ...request, ...paths })).toMatchObject(paths);
  });

  it('refuses to look for a repository whose name is no text', async () => {
    for (const url of ['/api/v1/builds?repository=%00', '/api/v1/builds?cursor=1&repository=a%00b']) {
      const answer = await http.app.inject(url);
      expect(answer.statusCode).toBe(400);
      expect(problemSchema.parse(answer.json()).details?.[0]?.path).toBe('querystring.repository');
    }
  });

  it.each(['abc', '-1', '1.5', '%00', '', '1'.repeat(16)])('refuses the cursor "%s"', async (cursor) => {
    const answer = await http.app.inject(`/api/v1/builds?cursor=${cursor}`);
    expect(answer.statusCode).toBe(400);
    expect(problemSchema.parse(answer.json())).toMatchObject({
      code: 'request_invalid',
      details: [{ path: 'querystring.cursor', message: expect.stringContaining('next_cursor') as string }],
    });
  });

  it('pages through the list from the newest to the oldest', async () => {
    const submitted = [await submit(request), await submit(request), await submit(request)];
    const seen: string[] = [];
    let cursor: string | null = '';
    while (cursor !== null && seen.length < submitted.length) {
      const url = `/api/v1/builds?limit=1${cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`}`;
      const page = buildListSchema.parse((await http.app.inject(url)).json());
      seen.push(...page.builds.map(({ id }) => id));
      cursor = page.next_cursor;
    }
    expect(seen).toEqual(submitted.map(({ id }) => id).reverse());
  });

  it('keeps the credentials of a URL sealed and shows the URL without them', async () => {
    const secret = 'https://alice:hunter2@files.example/app.tgz?signature=s3cr3t';
    const answer = await http.app.inject({
      method: 'POST',
      url: '/api/v1/builds',
      payload: {
        ...request,
        repository: 'sealed/app',
        build_package: secret,
        base_image: { username: 'bob', password: 'pass-of-bob' },
      },
    });
    const build = buildSchema.parse(answer.json());
    expect(build.source).toEqual({ type: 'url', url: 'https://files.example/app.tgz' });
    expect(answer.body + http.logged()).not.toMatch(/hunter2|s3cr3t|pass-of-bob/);
    let claim = await http.claim();
    while (claim.build.id !== build.id) claim = await http.claim();
    expect(claim.secrets).not.toBeNull();
    const opened = http.box.open(secretsContext(build.id), claim.secrets ?? new Uint8Array());
    expect(imageSecretsSchema.parse(JSON.parse(opened))).toEqual({
      build_package: secret,
      base_image: { username: 'bob', password: 'pass-of-bob' },
    });
  });
});

describe('a package', () => {
  it('is not kept when the database goes away before it is written down', async () => {
    const stored: string[] = [];
    await using away = await openTestHttp(database, {
      withStore: (store) => {
        const packages = { ...store.packages, create: () => Promise.reject(new DatabaseAway('no answer')) };
        return Promise.resolve({ store: { ...store, packages } });
      },
      withBlobs: (blobs) => ({
        ...blobs,
        put: async (content, options) => {
          const blob = await blobs.put(content, options);
          stored.push(blob.id);
          return blob;
        },
      }),
    });
    const answer = await away.app.inject({
      method: 'POST',
      url: '/api/v1/builds',
      ...multipart(buildParts({ repository: 'team/app' }, 'FROM scratch')),
    });
    expect(answer.statusCode).toBe(503);
    expect(stored).toHaveLength(1);
    expect(await away.blobs.open(stored[0] ?? '')).toBeNull();
  });

  it('is stored with its kind, and goes to the worker that shows the capability, to nobody else', async () => {
    const content = gzipSync('not much of an archive');
    const answer = await http.app.inject({
      method: 'POST',
      url: '/api/v1/builds',
      ...multipart(buildParts({ repository: 'packed/app' }, content)),
    });
    expect(answer.statusCode).toBe(201);
    const build = buildSchema.parse(answer.json());
    const sha256 = createHash('sha256').update(content).digest('hex');
    expect(build.source).toEqual({ type: 'package', size: content.length, sha256 });

    let claim = await http.claim();
    while (claim.build.id !== build.id) claim = await http.claim();
    const grant = (secret: string, scopes: string[]): Promise<boolean> =>
      http.store.capabilities.grant(claim.lease, { hash: hashSecret(secret), scopes, expiresInSeconds: 60 });
    await grant('the-secret-of-the-package', ['package']);
    await grant('a-secret-to-push-with', ['repository:packed/app:push']);

    const fetched = await http.app.inject('/packages/the-secret-of-the-package');
    expect(fetched.statusCode).toBe(200);
    expect(fetched.rawPayload.equals(content)).toBe(true);
    expect(fetched.headers).toMatchObject({
      'content-type': 'application/gzip',
      'content-length': String(content.length),
    });
    for (const other of ['a-secret-to-push-with', 'unknown', build.id]) {
      expect(await refused({ method: 'GET', url: `/packages/${other}` })).toMatchObject({
        status: 404,
        code: 'package_not_found',
      });
    }
    await http.store.builds.cancel(build.id, 'alice');
    expect(await refused({ method: 'GET', url: '/packages/the-secret-of-the-package' })).toMatchObject({
      code: 'package_not_found',
    });
    expect(http.logged()).not.toContain('the-secret-of-the-package');
  });

  it.each([
    ['over the limit', 'x'.repeat(1025), { status: 413, code: 'package_too_large' }, /up to 1024 bytes/],
    ['that is empty', '', { status: 400, code: 'package_empty' }, /tar.gz or zip archive/],
  ])('%s is refused and leaves nothing', async (_what, content, expected, words) => {
    const answer = await refused(multipart(buildParts({ repository: 'team/app' }, content)));
    expect(answer).toMatchObject(expected);
    expect(answer.text).toMatch(words);
    expect(await strayPackages()).toEqual([]);
  });

  it('is removed when the rest of the request is refused', async () => {
    const twoSources = buildParts(request, 'FROM scratch');
    expect(await refused(multipart(twoSources))).toMatchObject({ status: 400, code: 'source_ambiguous' });
    const aPartTooMany = [...buildParts({ repository: 'team/app' }, 'FROM scratch'), ...twoSources.slice(1)];
    expect(await refused(multipart(aPartTooMany))).toMatchObject({ status: 400, code: 'multipart_invalid' });
    expect(await strayPackages()).toEqual([]);
  });

  it('is removed where a build with its dedupe_key has not ended, whose own package stays', async () => {
    const upload = multipart(buildParts({ repository: 'team/app', dedupe_key: 'push 1' }, 'FROM scratch'));
    const submitted = await http.app.inject({ method: 'POST', url: '/api/v1/builds', ...upload });
    const again = await http.app.inject({ method: 'POST', url: '/api/v1/builds', ...upload });
    expect([submitted.statusCode, again.statusCode]).toEqual([201, 200]);
    const { id } = buildSchema.parse(submitted.json());
    expect(buildSchema.parse(again.json()).id).toBe(id);
    expect(await strayPackages()).toEqual([]);
    const own = await http.blobs.open((await http.store.packages.findOfBuild(id))?.id ?? '');
    expect(own).not.toBeNull();
    own?.content.destroy();
  });

  it.each([
    ['the package', 30],
    ['the request', 190],
  ])('that ends within %s is refused and leaves nothing', async (_where, missing) => {
    const { payload, headers } = multipart(buildParts({ repository: 'team/app' }, 'FROM scratch'));
    const cut = { headers, payload: payload.subarray(0, payload.length - missing) };
    expect(await refused(cut)).toMatchObject({ status: 400, code: 'multipart_invalid' });
    expect(await strayPackages()).toEqual([]);
  });

  it('is refused without a boundary', async () => {
    const headers = { 'content-type': 'multipart/form-data' };
    expect(await refused({ headers, payload: '--x--' })).toMatchObject({
      status: 400,
      code: 'multipart_invalid',
    });
  });

  it('must come after the request', async () => {
    const [requestPart, packagePart] = buildParts({ repository: 'team/app' }, 'FROM scratch');
    expect(await refused(multipart([...(packagePart ? [packagePart] : [])]))).toMatchObject({
      code: 'multipart_invalid',
    });
    expect(
      await refused(multipart([...(requestPart ? [{ ...requestPart, content: '{' }] : [])])),
    ).toMatchObject({
      code: 'json_invalid',
    });
    expect(await refused({ ...multipart([]), payload: '--a-boundary-of-the-test--\r\n' })).toMatchObject({
      code: 'multipart_invalid',
    });
  });
});
