import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeJwt } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { importBaseImage } from '../../../lab/base-image.ts';
import { startDatabaseServer, type LabDatabaseServer } from '../../../lab/database.ts';
import { startEngine, type LabEngine } from '../../../lab/engine.ts';
import { startRegistry, type LabRegistry } from '../../../lab/registry.ts';
import { createRegistryAccess } from '../../../src/manager/registry/registry-access.ts';
import { openSigningKeys } from '../../../src/manager/registry/signing-keys.ts';
import { createRegistryTokenServer, TOKEN_ISSUER } from '../../../src/manager/registry/token-server.ts';
import { mintTryCredentials, type TryCredentials } from '../../../src/manager/registry/try-credentials.ts';
import { openTestHttp, type TestHttp } from '../support/http.ts';

const SERVICE = 'lab-registry';
const BASE = 'lab-base';
let directory: string;
let database: LabDatabaseServer;
let http: TestHttp;
let registry: LabRegistry;
let engine: LabEngine;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'registry-'));
  database = await startDatabaseServer();
  const rootCertBundle = join(directory, 'registry-token.pem');
  http = await openTestHttp(database, {
    withStore: async ({ keys, capabilities }, box) => {
      const signingKeys = await openSigningKeys(keys, box, Date.now);
      await writeFile(rootCertBundle, await signingKeys.certificates());
      const users = ({
        username,
        password,
      }: {
        username: string;
        password: string;
      }): Promise<string[] | null> =>
        Promise.resolve(username === 'alice' && password === 'wonder' ? ['repository:*:pull'] : null);
      const server = { capabilities, users, signingKeys, service: SERVICE, now: Date.now };
      return { registryTokens: createRegistryTokenServer(server) };
    },
  });
  const origin = await http.app.listen({ host: '127.0.0.1', port: 0 });
  registry = await startRegistry({
    kind: 'token',
    realm: `${origin}/registry/token`,
    service: SERVICE,
    issuer: TOKEN_ISSUER,
    rootCertBundle,
  });
  engine = await startEngine();
  await importBaseImage(engine, BASE);
});
afterAll(async () => {
  await engine.stop();
  await registry.stop();
  await http[Symbol.asyncDispose]();
  await database.stop();
  await rm(directory, { recursive: true });
});

/** A try that runs, of a build of this repository, and what it was given. */
async function runningTry(
  repository: string,
  { expiresInSeconds = 3600, readable = [] as readonly string[] } = {},
): Promise<{ credentials: TryCredentials; buildId: string }> {
  const { id } = await http.store.builds.submit({
    id: randomUUID(),
    kind: 'image',
    spec: {},
    secrets: null,
    namespace: repository.slice(0, repository.lastIndexOf('/')),
    repository,
    registry: registry.host,
    tagNames: ['latest'],
    submittedBy: 'alice',
  });
  const { build, lease } = await http.claim();
  expect(build.id).toBe(id);
  const credentials = await mintTryCredentials(http.store.capabilities, {
    build,
    lease,
    tokens: true,
    furtherRepositories: null,
    readable,
    hasPackage: false,
    expiresInSeconds,
  });
  if (credentials === null) throw new Error('the try has ended');
  return { credentials, buildId: id };
}

/** Docker's own client with these credentials in its configuration: no login, as a worker's engine call has it. */
async function docker(auth: string, args: readonly string[], host = registry.host): Promise<string> {
  const config = await mkdtemp(join(directory, 'docker-'));
  const auths = { [host]: { auth: Buffer.from(auth).toString('base64') } };
  await writeFile(join(config, 'config.json'), JSON.stringify({ auths }));
  return engine.docker(['--config', config, ...args]);
}

const push = async (auth: string, repository: string): Promise<string> => {
  const reference = `${registry.host}/${repository}:latest`;
  await engine.docker(['tag', BASE, reference]);
  return docker(auth, ['push', reference]);
};
const token = async (
  query: string,
  authorization?: string,
): Promise<{
  status: number;
  body: string;
  access: unknown;
  claims: ReturnType<typeof decodeJwt> | null;
}> => {
  const answer = await http.app.inject({
    url: `/registry/token?${query}`,
    headers: authorization === undefined ? {} : { authorization },
  });
  const json = answer.json<{ token?: string }>();
  const claims = json.token === undefined ? null : decodeJwt(json.token);
  return { status: answer.statusCode, body: answer.body, access: claims?.['access'], claims };
};
const basic = (user: string, password: string): string =>
  `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;

describe('a registry whose token server is the manager', () => {
  it('takes a push of a try to its own repository, and nothing that the try may not do', async () => {
    const { credentials, buildId } = await runningTry('team/app');
    const auth = `$token:${credentials.push_token}`;
    expect(await push(auth, 'team/app')).toMatch(/latest: digest: sha256:/);
    await expect(push(auth, 'team/other')).rejects.toThrow(/denied|unauthorized/);
    await expect(push(auth, 'strangers/app')).rejects.toThrow(/denied|unauthorized/);
    await expect(push(`$token:${credentials.pull_token}`, 'team/app')).rejects.toThrow(/denied|unauthorized/);

    const sibling = await runningTry('team/second');
    expect(await push(`$token:${sibling.credentials.push_token}`, 'team/second')).toContain('digest');
    const reference = `${registry.host}/team/app:latest`;
    expect(await docker(`$token:${sibling.credentials.pull_token}`, ['pull', reference])).toContain('Digest');
    const stranger = await runningTry('strangers/app');
    await expect(docker(`$token:${stranger.credentials.pull_token}`, ['pull', reference])).rejects.toThrow(
      /denied|unauthorized/,
    );

    await http.store.builds.cancel(buildId, 'alice');
    await expect(push(auth, 'team/app')).rejects.toThrow(/denied|unauthorized/);
    await expect(push(':', 'team/app')).rejects.toThrow(/denied|unauthorized|no basic auth/);
    expect(http.logged()).not.toContain(credentials.push_token);
  });

  it('mounts the layers of a base that the namespace may read, and of no other', async () => {
    const { credentials: owner } = await runningTry('bases/tools');
    await push(`$token:${owner.push_token}`, 'bases/tools');
    const base = `${registry.host}/bases/tools:latest`;
    const reader = await runningTry('readers/app', { readable: ['bases/*'] });
    await docker(`$token:${reader.credentials.pull_token}`, ['pull', base]);
    const mounted = await push(`$token:${reader.credentials.push_token}`, 'readers/app');
    expect(mounted).toMatch(/Mounted from \S+/);
    const stranger = await runningTry('nobodys/app');
    await expect(docker(`$token:${stranger.credentials.pull_token}`, ['pull', base])).rejects.toThrow(
      /denied|unauthorized/,
    );
    const pushed = await push(`$token:${stranger.credentials.push_token}`, 'nobodys/app');
    expect(pushed).toContain('digest');
    expect(pushed).not.toContain('Mounted');
  });

  it('lets people log in and pull', async () => {
    const { credentials } = await runningTry('people/app');
    await push(`$token:${credentials.push_token}`, 'people/app');
    const reference = `${registry.host}/people/app:latest`;
    expect(await docker('alice:wonder', ['pull', reference])).toContain('Digest');
    await expect(push('alice:wonder', 'people/app')).rejects.toThrow(/denied|unauthorized/);
    await expect(docker('alice:wrong', ['pull', reference])).rejects.toThrow(/denied|unauthorized/);
  });
});

describe('a registry with one user', () => {
  it('takes a push with the credentials that go to its builds alone', async () => {
    const file = join(directory, 'htpasswd');
    // bcrypt of correct-horse
    await writeFile(file, 'robot:$2y$05$abcdefghijklmnopqrstuuZ0Fx87Pb/Aqb0E90lfvCwzXnaFKUHpS\n');
    await using closed = await startRegistry({ kind: 'htpasswd', path: file });
    const accessFor = createRegistryAccess({
      registry: closed.host,
      tokens: false,
      user: { username: 'robot', password: 'correct-horse' },
    });
    const given = accessFor(closed.host).users[closed.host];
    const reference = `${closed.host}/team/app:latest`;
    await engine.docker(['tag', BASE, reference]);
    const pushed = await docker(
      `${given?.username ?? ''}:${given?.password ?? ''}`,
      ['push', reference],
      closed.host,
    );
    expect(pushed).toContain('digest: sha256:');
    await expect(docker('robot:wrong', ['push', reference], closed.host)).rejects.toThrow(
      /denied|unauthorized|no basic auth/,
    );
  });
});

describe('the token server', () => {
  it('signs for the subset that is allowed, for five minutes at most and never longer than the try', async () => {
    const scope = 'scope=repository:a/b:pull,push&scope=repository:c/d:pull';
    const long = (await runningTry('a/b')).credentials;
    const answer = await token(`service=${SERVICE}&${scope}`, basic('$token', long.push_token));
    expect(answer.access).toEqual([{ type: 'repository', name: 'a/b', actions: ['pull', 'push'] }]);
    expect(answer.claims).toMatchObject({ iss: TOKEN_ISSUER, aud: SERVICE });
    const { exp = 0, iat = 0 } = answer.claims ?? {};
    expect(exp - iat).toBe(300);
    const short = (await runningTry('a/b', { expiresInSeconds: 20 })).credentials;
    const { claims } = await token(`service=${SERVICE}&${scope}`, basic('$token', short.push_token));
    expect((claims?.exp ?? 0) - (claims?.iat ?? 0)).toBeLessThanOrEqual(20);
  });

  it('answers an engine that logs in by OAuth2, too', async () => {
    const { credentials } = await runningTry('a/b');
    const form = new URLSearchParams({
      grant_type: 'password',
      service: SERVICE,
      scope: 'repository:a/b:push',
      username: '$token',
      password: credentials.push_token,
    });
    const answer = await http.app.inject({
      method: 'POST',
      url: '/registry/token',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      payload: form.toString(),
    });
    expect(decodeJwt(answer.json<{ access_token: string }>().access_token)['access']).toMatchObject([
      { name: 'a/b', actions: ['push'] },
    ]);
  });

  it.each([
    ['nobody', `service=${SERVICE}`, undefined, 401, 'UNAUTHORIZED'],
    ['a wrong token', `service=${SERVICE}`, basic('$token', 'wrong'), 401, 'UNAUTHORIZED'],
    ['another user', `service=${SERVICE}`, basic('bob', 'wrong'), 401, 'UNAUTHORIZED'],
    ['no credentials at all', `service=${SERVICE}`, 'Basic !', 401, 'UNAUTHORIZED'],
    ['another service', 'service=other', basic('alice', 'wonder'), 400, 'UNSUPPORTED'],
  ])('refuses %s as registries do', async (_who, query, authorization, status, code) => {
    const answer = await token(query, authorization);
    expect(answer.status).toBe(status);
    expect(JSON.parse(answer.body)).toMatchObject({ errors: [{ code }] });
  });

  it('keeps its key sealed, the same for all managers, and serves its certificate', async () => {
    const [first, second] = await Promise.all([
      openSigningKeys(http.store.keys, http.box, Date.now),
      openSigningKeys(http.store.keys, http.box, Date.now),
    ]);
    expect((await first.current()).x5c).toBe((await second.current()).x5c);
    const served = await http.app.inject('/registry/certificates.pem');
    expect(served.body).toBe(await readFile(join(directory, 'registry-token.pem'), 'utf8'));
    expect(served.body).toBe(await first.certificates());
    const [row] = await http.store.keys.list('registry-token');
    expect(Buffer.from(row?.material ?? []).includes('PRIVATE KEY')).toBe(false);
  });
});

describe('how builds come to push', () => {
  const user = { username: 'robot', password: 'secret' };

  it('is by tokens, by a user for workers that can, or openly', () => {
    const minted = createRegistryAccess({ registry: 'r.example', tokens: true, user: null });
    expect(minted('R.example')).toMatchObject({
      tokens: true,
      tokensElsewhere: null,
      requiredExtensions: [],
    });
    expect(minted('other.example')).toMatchObject({
      tokens: false,
      tokensElsewhere: 'r.example',
      requiredExtensions: [],
    });
    const byUser = createRegistryAccess({ registry: 'r.example', tokens: false, user });
    expect(byUser('r.example')).toEqual({
      tokens: false,
      tokensElsewhere: null,
      users: { 'r.example': user },
      requiredExtensions: ['registry-auth'],
    });
    expect(byUser('evil.example')).toMatchObject({ users: {}, tokensElsewhere: null });
    expect(createRegistryAccess({ registry: null, tokens: false, user: null })('r.example').tokens).toBe(
      false,
    );
  });
});
