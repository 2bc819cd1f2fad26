import { once } from 'node:events';
import { connect } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { request } from 'undici';
import { createParser, type EventSourceMessage } from 'eventsource-parser';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startDatabaseServer, type LabDatabaseServer } from '../../../lab/database.ts';
import { buildSchema, problemSchema } from '../../../src/contract/api.ts';
import type { Claim } from '../../../src/store/index.ts';
import { readExposition, valueOf } from '../metrics/exposition.ts';
import { openTestHttp, type TestHttp } from '../support/http.ts';
import { record } from '../support/records.ts';

let database: LabDatabaseServer;
let http: TestHttp;
let origin: string;
beforeAll(async () => {
  database = await startDatabaseServer();
  http = await openTestHttp(database, { limits: { viewersMax: 2, logKeepAlive: 20 } });
  origin = await http.app.listen({ host: '127.0.0.1', port: 0 });
});
afterAll(async () => {
  await http[Symbol.asyncDispose]();
  await database.stop();
});

/** A build that a worker has begun. */
async function running(): Promise<Claim> {
  await http.app.inject({
    method: 'POST',
    url: '/api/v1/builds',
    payload: { repository: 'team/app', build_package: 'https://files.example/app.tgz' },
  });
  return http.claim();
}

/** Follows a build's log; `next` resolves with the next event of a type. */
async function follow(
  path: string,
  headers: Record<string, string> = {},
): Promise<{
  next(event: string): Promise<EventSourceMessage>;
  comment(): Promise<void>;
  end(): Promise<void>;
}> {
  const { body, statusCode } = await request(origin + path, {
    headers: { accept: 'text/event-stream', ...headers },
  });
  expect(statusCode).toBe(200);
  const events: EventSourceMessage[] = [];
  let comments = 0;
  const parser = createParser({
    onEvent: (event) => events.push(event),
    onComment: () => (comments += 1),
  });
  const more = body.setEncoding('utf8')[Symbol.asyncIterator]() as AsyncIterator<string>;
  const read = async (): Promise<void> => {
    const piece = await more.next();
    if (piece.done === true) throw new Error('the log ended');
    parser.feed(piece.value);
  };
  return {
    async next(type) {
      for (;;) {
        const event = events.shift();
        if (event === undefined) await read();
        else if (event.event === type) return event;
      }
    },
    async comment() {
      for (const before = comments; comments === before;) await read();
    },
    async end() {
      const closed = once(body, 'close');
      body.destroy();
      await closed.catch(() => undefined);
    },
  };
}

describe('the log of a build', () => {
  it('is text by default: what was printed as it came, everything else on lines of its own', async () => {
    const { lease } = await running();
    await http.store.logs.append(lease, [
      record(1, 'building', 'phase'),
      record(2, 'Step 1/1 : RUN make\n'),
      record(3, 'half a '),
      record(4, 'line'),
      record(5, 'Pushing', 'progress'),
      record(6, 'the worker was told to stop', 'note'),
    ]);
    const answer = await http.app.inject(`/api/v1/builds/${lease.buildId}/log`);
    expect(answer.headers['content-type']).toBe('text/plain; charset=utf-8');
    expect(answer.body).toBe(
      '==> building\nStep 1/1 : RUN make\nhalf a line\n[manager] the worker was told to stop\n',
    );
    const after = await http.app.inject(`/api/v1/builds/${lease.buildId}/log?after=1.2`);
    expect(after.body).toBe('half a line\n[manager] the worker was told to stop\n');
  });

  it('is a record a line for programs, page after page', async () => {
    const { lease } = await running();
    const records = Array.from({ length: 2500 }, (_none, index) => record(index + 1, `line ${index + 1}\n`));
    await http.store.logs.append(lease, records);
    const answer = await http.app.inject({
      url: `/api/v1/builds/${lease.buildId}/log`,
      headers: { accept: 'application/x-ndjson, text/plain;q=0.5' },
    });
    const lines = answer.body.trimEnd().split('\n');
    expect(lines.map((line): unknown => JSON.parse(line))).toEqual(records);
  });

  it('is followed from any position to the end of the build', async () => {
    const { lease } = await running();
    const path = `/api/v1/builds/${lease.buildId}/log`;
    await http.store.logs.append(lease, [record(1, 'one\n'), record(2, 'two\n')]);
    const viewer = await follow(path);
    expect(buildSchema.parse(JSON.parse((await viewer.next('build')).data)).state).toBe('running');
    expect(await viewer.next('log')).toMatchObject({ id: '1.1' });
    expect(await viewer.next('log')).toMatchObject({ id: '1.2' });
    await http.store.logs.append(lease, [record(3, 'three\n')]);
    expect(JSON.parse((await viewer.next('log')).data)).toEqual(record(3, 'three\n'));
    await viewer.comment();
    await viewer.end();

    const again = await follow(path, { 'last-event-id': '1.2' });
    expect(await again.next('log')).toMatchObject({ id: '1.3' });
    await http.store.leases.finish(lease, { state: 'complete', outputs: { image_id: '', digests: {} } });
    let state = 'running';
    while (state === 'running') state = buildSchema.parse(JSON.parse((await again.next('build')).data)).state;
    expect(state).toBe('complete');
    await again.next('end');
  });

  it('is no request whose time is measured while it is followed', async () => {
    const claim = await running();
    const { id } = claim.build;
    const path = `/api/v1/builds/${id}/log`;
    const measured = async (): Promise<number> => {
      const samples = readExposition((await http.app.inject('/metrics')).body);
      const labels = { method: 'GET', route: '/api/v1/builds/:id/log', status: '200' };
      return valueOf(samples, 'quay_build_http_request_duration_seconds_count', labels);
    };
    await http.app.inject(path);
    await expect.poll(() => http.logged().split(`"path":"${path}"`)).toHaveLength(2);
    const before = await measured();
    expect(before).toBeGreaterThan(0);
    const viewer = await follow(path);
    const outputs = { image_id: '', digests: {} };
    await http.store.leases.finish(claim.lease, { state: 'complete', outputs });
    await viewer.next('end');
    await expect.poll(() => http.logged().split(`"path":"${path}"`)).toHaveLength(3);
    expect(await measured()).toBe(before);
  });

  it('has room for so many viewers, and again when one has gone', async () => {
    const { lease } = await running();
    const path = `/api/v1/builds/${lease.buildId}/log`;
    const first = await follow(path);
    const second = await follow(path);
    const third = await http.app.inject({ url: path, headers: { accept: 'text/event-stream' } });
    expect(third.statusCode).toBe(503);
    expect(third.headers['retry-after']).toBe('5');
    expect(problemSchema.parse(third.json()).code).toBe('too_many_viewers');
    expect((await http.app.inject(path)).statusCode).toBe(200);
    await first.end();
    for (;;) {
      const answer = await request(origin + path, { headers: { accept: 'text/event-stream' } });
      answer.body.destroy();
      answer.body.on('error', () => undefined);
      if (answer.statusCode === 200) break;
    }
    await second.end();
  });

  it.each([
    ['?after=later', {}, 400, 'request_invalid'],
    ['?from=1.1', {}, 400, 'request_invalid'],
    ['', { 'last-event-id': 'x' }, 400, 'request_invalid'],
    ['', { accept: 'image/png' }, 406, 'not_acceptable'],
    ['', { accept: 'text/plain;q=0' }, 406, 'not_acceptable'],
  ])('is refused for %s %j', async (query, headers, status, code) => {
    const { lease } = await running();
    const answer = await http.app.inject({ url: `/api/v1/builds/${lease.buildId}/log${query}`, headers });
    expect(answer.statusCode).toBe(status);
    expect(problemSchema.parse(answer.json()).code).toBe(code);
  });

  it('is read no further for a viewer who does not read', async () => {
    let read = 0;
    const done = Promise.withResolvers<undefined>();
    await using own = await openTestHttp(database, {
      followLog: async function* () {
        try {
          for (;;) {
            read += 1;
            yield { type: 'log', records: [record(read, 'x'.repeat(65_536))] };
            await nextTurn();
          }
        } finally {
          done.resolve(undefined);
        }
      },
    });
    const address = await own.app.listen({ host: '127.0.0.1', port: 0 });
    const submitted = await own.app.inject({
      method: 'POST',
      url: '/api/v1/builds',
      payload: { repository: 'team/app', build_package: 'https://files.example/app.tgz' },
    });
    const { id } = buildSchema.parse(submitted.json());
    const socket = connect(Number(new URL(address).port), '127.0.0.1');
    socket.on('error', () => undefined).pause();
    socket.write(
      `GET /api/v1/builds/${id}/log HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: text/event-stream\r\n\r\n`,
    );
    // It has stopped when nothing was read in many turns of the event loop.
    for (let still = 0, before = 0; still < 1000 || read === 0; before = read) {
      await nextTurn();
      still = read === before ? still + 1 : 0;
    }
    expect(read).toBeLessThan(500);
    socket.destroy();
    await done.promise;
  });

  it('lets its viewers go, without saying that it has ended, when the manager stops', async () => {
    await using own = await openTestHttp(database);
    const address = await own.app.listen({ host: '127.0.0.1', port: 0 });
    const submitted = await own.app.inject({
      method: 'POST',
      url: '/api/v1/builds',
      payload: { repository: 'team/app', build_package: 'https://files.example/app.tgz' },
    });
    const { id } = buildSchema.parse(submitted.json());
    const { body } = await request(`${address}/api/v1/builds/${id}/log`, {
      headers: { accept: 'text/event-stream' },
    });
    let text = '';
    const ended = new Promise<void>((resolve) => body.on('close', resolve));
    body.on('error', () => undefined);
    const begun = new Promise<void>((resolve) => {
      body.on('data', (chunk: Buffer) => {
        text += chunk.toString();
        resolve();
      });
    });
    await begun;
    await own.app.close();
    await ended;
    expect(text).toContain('event: build');
    expect(text).not.toContain('event: end');
  });
});
