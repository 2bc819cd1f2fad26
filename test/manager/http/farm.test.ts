import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startDatabaseServer, type LabDatabaseServer } from '../../../lab/database.ts';
import { problemSchema, statusSchema, workerListSchema } from '../../../src/contract/api.ts';
import { portOf } from '../../../src/manager/listen.ts';
import { openTestHttp, type TestHttp } from '../support/http.ts';

let database: LabDatabaseServer;
let http: TestHttp;
beforeAll(async () => {
  database = await startDatabaseServer();
  http = await openTestHttp(database);
  const seen = new Date('2026-01-02T03:04:05Z');
  await http.store.workers.put([
    {
      realm: 'realm-1',
      id: 'worker-1',
      slot: 0,
      slots: 1,
      kind: 'enterprise',
      state: 'ready',
      labels: { arch: 'amd64' },
      extensions: ['cancel'],
      kinds: ['image'],
      address: '127.0.0.1',
      manager: 'manager-1',
      connectedAt: seen,
      lastSeenAt: seen,
      buildId: null,
      registeredAs: null,
    },
  ]);
  await http.app.inject({
    method: 'POST',
    url: '/api/v1/builds',
    payload: { repository: 'team/app', build_package: 'https://files.example/app.tgz' },
  });
});
afterAll(async () => {
  await http[Symbol.asyncDispose]();
  await database.stop();
});

describe('the farm as a whole', () => {
  it('lists its workers', async () => {
    const { workers } = workerListSchema.parse((await http.app.inject('/api/v1/workers')).json());
    expect(workers).toMatchObject([
      { id: 'worker-1', state: 'ready', labels: { arch: 'amd64' }, last_seen_at: '2026-01-02T03:04:05.000Z' },
    ]);
  });

  it('says its status in the fields of the contract', async () => {
    expect(statusSchema.parse((await http.app.inject('/status')).json())).toEqual({
      status: 'running',
      running_local: 0,
      running_total: 0,
      workers: 1,
      job_total: 1,
    });
  });

  it('counts what happens, by route and never by path', async () => {
    await http.app.inject('/packages/a-secret-capability');
    let body = '';
    const metrics = async (): Promise<string> => (body = (await http.app.inject('/metrics')).body);
    // A database that is slow to answer is left out of one answer.
    await expect.poll(metrics).toContain('quay_build_builds{state="waiting"} 1');
    expect(body).toMatch(/quay_build_queue_oldest_seconds\{namespace="team"\} \d/);
    expect(body).toContain('quay_build_worker_slots{kind="enterprise",state="ready"} 1');
    expect(body).toContain('route="/packages/:capability"');
    expect(body).not.toContain('a-secret-capability');
  });

  it('describes its API, both forms of a submitted build too', async () => {
    const document: unknown = (await http.app.inject('/openapi.json')).json();
    expect(document).toMatchObject({
      openapi: '3.1.0',
      paths: {
        '/api/v1/builds': {
          get: {},
          post: {
            requestBody: {
              content: {
                'application/json': { schema: { required: ['repository'] } },
                'multipart/form-data': { schema: { properties: { package: { format: 'binary' } } } },
              },
            },
          },
        },
        '/api/v1/builds/{id}': {},
        '/api/v1/builds/{id}/log': {},
        '/api/v1/builds/{id}/cancel': {},
        '/api/v1/workers': {},
        '/status': {},
        '/livez': {},
        '/healthz': {},
        '/readyz': {},
        '/metrics': {},
      },
    });
    expect(JSON.stringify(document)).not.toContain('/packages/');
  });
});

describe('a broken request', () => {
  it.each([
    [
      'headers that never fit',
      `GET / HTTP/1.1\r\nhost: x\r\nlarge: ${'x'.repeat(20_000)}\r\n\r\n`,
      '431',
      'headers_too_large',
    ],
    ['no HTTP at all', 'hello\r\n\r\n', '400 Bad Request', 'http_invalid'],
    [
      'a length that is none',
      'POST /api/v1/builds HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n{}',
      '400 Bad Request',
      'http_invalid',
    ],
  ])('%s is answered and its connection closed', async (_what, bytes, status, code) => {
    await using own = await openTestHttp(database);
    await own.app.listen({ host: '127.0.0.1', port: 0 });
    const socket = connect(portOf(own.app.server), '127.0.0.1');
    let answer = '';
    socket.setEncoding('utf8').on('data', (text: string) => (answer += text));
    socket.on('error', () => undefined);
    socket.write(bytes);
    await once(socket, 'close');
    const [head = '', body = ''] = answer.split('\r\n\r\n');
    expect(head).toContain(`HTTP/1.1 ${status}`);
    expect(problemSchema.parse(JSON.parse(body)).code).toBe(code);
  });
});

describe('a request that breaks off', () => {
  it("is the caller's, and no error of the manager's", async () => {
    await using own = await openTestHttp(database);
    await own.app.listen({ host: '127.0.0.1', port: 0 });
    const socket = connect(portOf(own.app.server), '127.0.0.1');
    socket.on('error', () => undefined);
    const head = 'POST /api/v1/builds HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n';
    socket.write(`${head}expect: 100-continue\r\ncontent-length: 100\r\n\r\n{"repository":`);
    // It is asked to go on, so that its headers have been read.
    await once(socket, 'data');
    socket.destroy();
    await expect.poll(() => own.logged(), { timeout: 30_000 }).toContain('"problem":"request_incomplete"');
    expect(own.logged()).not.toContain('a request failed');
  });
});

describe('a method that a path does not have', () => {
  it.each([
    ['PUT', '/api/v1/builds', 'GET, HEAD, POST'],
    ['OPTIONS', '/api/v1/builds/3b241101-e2bb-4255-8caf-4136c566a962/log', 'GET, HEAD'],
    ['POST', '/status', 'GET, HEAD'],
  ] as const)('%s %s is refused with those that it has', async (method, url, allow) => {
    await using own = await openTestHttp(database);
    const answer = await own.app.inject({ method, url, headers: { 'content-type': 'text/x-any' } });
    expect(answer.statusCode).toBe(405);
    expect(answer.headers.allow).toBe(allow);
    expect(problemSchema.parse(answer.json()).message).toContain(allow);
  });

  it('is not what the reference tells of', async () => {
    await using own = await openTestHttp(database);
    const { paths } = (await own.app.inject('/openapi.json')).json<{ paths: Record<string, object> }>();
    expect(Object.keys(paths['/status'] ?? {})).toEqual(['get']);
  });
});

describe('a manager whose database is away', () => {
  it('says so, and asks to come again; there is no reason to restart it', async () => {
    const own = await startDatabaseServer();
    await using cut = await openTestHttp(database, { databaseUrl: (await own.createDatabase()).url });
    expect((await cut.app.inject('/healthz')).json()).toEqual({ status: 'ok' });
    await own.stop();
    expect((await cut.app.inject('/livez')).json()).toEqual({ status: 'ok' });
    for (const url of ['/healthz', '/readyz', '/api/v1/builds']) {
      const answer = await cut.app.inject(url);
      expect(answer.statusCode).toBe(503);
      expect(problemSchema.parse(answer.json()).code).toBe('store_unavailable');
    }
    expect((await cut.app.inject('/api/v1/builds')).headers['retry-after']).toBe('5');
  });
});
