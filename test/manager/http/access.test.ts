import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startDatabaseServer, type LabDatabaseServer } from '../../../lab/database.ts';
import { buildSchema, problemSchema } from '../../../src/contract/api.ts';
import type { SecretsFileError } from '../../../src/manager/secrets/secrets-file.ts';
import { loadApiTokens, newApiToken } from '../../../src/manager/http/api-tokens.ts';
import { openTestHttp, type TestHttp } from '../support/http.ts';

let database: LabDatabaseServer;
let directory: string;
let path: string;
beforeAll(async () => {
  database = await startDatabaseServer();
  directory = await mkdtemp(join(tmpdir(), 'access-'));
  path = join(directory, 'tokens.json');
});
afterAll(async () => {
  await database.stop();
  await rm(directory, { recursive: true });
});

const reader = newApiToken('reader', ['read']);
const writer = newApiToken('ci', ['read', 'write']);
const admin = newApiToken('root', ['admin']);
const build = { repository: 'team/app', build_package: 'https://files.example/app.tgz' };
const fail = (error: SecretsFileError): never => {
  throw error;
};

describe('a manager with tokens', () => {
  let http: TestHttp;
  beforeAll(async () => {
    await writeFile(path, JSON.stringify([reader.entry, writer.entry, admin.entry]));
    http = await openTestHttp(database, { tokens: await loadApiTokens(path, fail) });
  });
  afterAll(() => http[Symbol.asyncDispose]());

  const call = async (
    method: 'GET' | 'POST',
    url: string,
    authorization?: string,
  ): Promise<{ status: number; body: string }> => {
    const headers = authorization === undefined ? {} : { authorization };
    const payload = method === 'POST' ? { payload: build } : {};
    const answer = await http.app.inject({ method, url, headers, ...payload });
    return { status: answer.statusCode, body: answer.body };
  };

  it.each([
    ['GET', '/api/v1/builds', reader, 200],
    ['POST', '/api/v1/builds', reader, 403],
    ['POST', '/api/v1/builds', writer, 201],
    ['POST', '/api/v1/builds', admin, 201],
    ['GET', '/api/v1/workers', reader, 200],
    ['GET', '/metrics', reader, 200],
  ] as const)('%s %s by %o answers %i', async (method, url, { token }, status) => {
    expect((await call(method, url, `Bearer ${token}`)).status).toBe(status);
  });

  it.each([undefined, '', 'Bearer', 'Bearer qb_wrong', `Basic ${writer.token}`, `Bearer ${writer.token}x`])(
    'refuses %s and asks for a token',
    async (authorization) => {
      const { status, body } = await call('POST', '/api/v1/builds', authorization);
      expect(status).toBe(401);
      expect(problemSchema.parse(JSON.parse(body)).help).toContain('QUAY_BUILD_TOKEN');
    },
  );

  it('says who submitted, and writes no token to the log', async () => {
    const { body } = await call('POST', '/api/v1/builds', `Bearer ${writer.token}`);
    expect(buildSchema.parse(JSON.parse(body)).submitted_by).toBe('ci');
    expect(http.logged()).toContain('"caller":"ci"');
    expect(http.logged()).not.toContain(writer.token);
  });

  it.each(['/status', '/livez', '/healthz', '/readyz', '/openapi.json'])(
    'shows %s to everybody',
    async (url) => {
      expect((await call('GET', url)).status).toBe(200);
    },
  );
});

describe('the tokens file', () => {
  it('is read again when it changes, and kept while it is wrong', async () => {
    const own = join(directory, 'changing.json');
    const errors: SecretsFileError[] = [];
    await writeFile(own, JSON.stringify([reader.entry]));
    const tokens = await loadApiTokens(own, (error) => errors.push(error));
    expect(await tokens.authenticate(writer.token)).toBeNull();
    await writeFile(own, JSON.stringify([reader.entry, writer.entry]));
    expect(await tokens.authenticate(writer.token)).toEqual({ name: 'ci', scopes: ['read', 'write'] });
    await writeFile(own, '[{');
    expect(await tokens.authenticate(writer.token)).toMatchObject({ name: 'ci' });
    expect(errors.map(({ message }) => message)).toEqual([`${own} cannot be read: it is not JSON`]);
    // Of another size: where the file system's clock is coarse, both may have been written at one time.
    await writeFile(own, '[ ]');
    expect(await tokens.authenticate(writer.token)).toBeNull();
  });

  it.each([
    ['[{"name":"a b","hash":"sha256:x","scopes":[]}]', /0\.name must be 1 to 64/],
    [JSON.stringify([{ ...reader.entry, hash: reader.token }]), /0\.hash must be sha256/],
    [JSON.stringify([reader.entry, reader.entry]), /the name reader is there twice/],
    ['{}', /must be a list like/],
  ])('is refused at the start: %s', async (content, words) => {
    await writeFile(join(directory, 'wrong.json'), content);
    const loading = loadApiTokens(join(directory, 'wrong.json'), fail);
    await expect(loading).rejects.toThrow(words);
    await expect(loading).rejects.not.toThrow(reader.token);
  });

  it('holds tokens of 256 bits by their hash alone', () => {
    expect(writer.token).toMatch(/^qb_[\w-]{43}$/);
    expect(JSON.stringify(writer.entry)).not.toContain(writer.token);
    expect(newApiToken('ci', ['read']).token).not.toBe(writer.token);
  });
});

describe('an open manager', () => {
  let http: TestHttp;
  beforeAll(async () => {
    http = await openTestHttp(database);
  });
  afterAll(() => http[Symbol.asyncDispose]());

  it.each([
    ['127.0.0.1:8686', undefined, 200],
    ['localhost:8686', 'http://localhost:8686', 200],
    ['[::1]:8686', undefined, 200],
    ['rebound.example:8686', undefined, 403],
    ['127.0.0.1:8686', 'https://evil.example', 403],
    ['127.0.0.1:8686', 'http://127.0.0.1:9999', 403],
    ['127.0.0.1:8686', 'null', 403],
  ])('asked as %s by a page of %s answers %i', async (host, origin, status) => {
    const headers = { host, ...(origin === undefined ? {} : { origin }) };
    expect((await http.app.inject({ url: '/api/v1/builds', headers })).statusCode).toBe(status);
  });
});
