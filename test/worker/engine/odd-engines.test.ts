import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { createEngine } from '../../../src/worker/engine/index.ts';
import { buildOf, makeContext, recordCall } from './support.ts';

/** What a real engine says only on a bad day: an HTTP server in its place. */
async function startOddEngine(
  answer: (request: IncomingMessage, response: ServerResponse) => void,
  sessions = true,
): Promise<AsyncDisposable & { dockerHost: string; requests: string[] }> {
  const requests: string[] = [];
  const sockets = new Set<Socket | Duplex>();
  const server = createServer((request, response) => {
    requests.push(`${request.method ?? ''} ${(request.url ?? '').replace(/\?.*/, '')}`);
    request.resume();
    if (request.url === '/session') response.writeHead(404).end('{"message":"page not found"}');
    else answer(request, response);
  });
  server.on('connection', (socket) => sockets.add(socket));
  if (sessions) {
    server.on('upgrade', (_request, socket) => {
      socket.on('error', () => undefined);
      socket.write('HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n');
    });
  }
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    dockerHost: `tcp://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

const IMAGE = '{"id":"moby.image.id","aux":{"ID":"sha256:abc"}}\n';
const TANGLED =
  '{"errorDetail":{"message":"failed to solve: flightcontrol: exceeded retry timeout"},"error":"failed"}\n';

async function build(dockerHost: string, builder: 'auto' | 'buildkit' | 'classic' = 'buildkit') {
  await using context = await makeContext({ Dockerfile: 'FROM scratch\nCOPY . /\n' });
  return await createEngine({ dockerHost, builder }).build(buildOf(context.path), recordCall());
}

describe('a build', () => {
  // Seen of Docker 20.10 with a worker whose machine was stopped for some seconds, or whose connection was cut.
  test.each([
    'transport is closing',
    'no active session for 091b2e76-88c1-4e87-8e22-f638579b1039: context deadline exceeded',
    'connection error: desc = "transport: Error while dialing only one connection allowed"',
  ])('in which the engine lost the worker is refused, and has not failed: %s', async (words) => {
    const error = `failed to solve: rpc error: code = Unknown desc = ${words}`;
    await using engine = await startOddEngine((_request, response) =>
      response.end(`${JSON.stringify({ errorDetail: { message: error }, error })}\n`),
    );
    await expect(build(engine.dockerHost)).rejects.toMatchObject({ kind: 'refused' });
  });

  test('that the engine tangled itself up in is begun again, once', async () => {
    const answers = [TANGLED, IMAGE];
    await using engine = await startOddEngine((_request, response) => response.end(answers.shift()));
    expect(await build(engine.dockerHost)).toEqual({ imageId: 'sha256:abc' });

    await using worse = await startOddEngine((_request, response) => response.end(TANGLED));
    await expect(build(worse.dockerHost)).rejects.toThrow('flightcontrol');
    expect(worse.requests).toEqual(['POST /build', 'POST /build']);
  });

  test.each([
    {
      what: 'ends without a result',
      body: '{"stream":"hello\\n"}\n',
      kind: 'failed',
      words: 'without a result',
    },
    { what: 'is no JSON', body: '<html>', kind: 'failed', words: 'not a message' },
    {
      what: 'has a report that cannot be read',
      body: '{"id":"moby.buildkit.trace","aux":"/////w=="}\n',
      kind: 'failed',
      words: 'cannot be read',
    },
    {
      what: 'has a report that is none',
      body: '{"id":"moby.buildkit.trace","aux":{"a":1}}\n',
      kind: 'failed',
      words: 'cannot be read',
    },
  ])('whose answer $what fails', async ({ body, kind, words }) => {
    await using engine = await startOddEngine((_request, response) => response.end(body));
    await expect(build(engine.dockerHost)).rejects.toMatchObject({
      name: 'EngineError',
      kind,
      message: expect.stringContaining(words) as string,
    });
  });

  test.each(['buildkit', 'classic'] as const)(
    'whose %s answer breaks off is one of an engine that is gone',
    async (builder) => {
      await using engine = await startOddEngine((_request, response) => {
        response.write('{"stream":"hello\\n"}\n', () => response.destroy());
      });
      await expect(build(engine.dockerHost, builder)).rejects.toMatchObject({ kind: 'unreachable' });
    },
  );

  test.each([
    [400, '{"message":"dockerfile parse error line 1: unknown instruction: A"}', 'dockerfile'],
    [400, '{"message":"invalid reference format"}', 'refused'],
    [500, '{"message":"it broke"}', 'failed'],
    [502, '<html>bad gateway</html>', 'failed'],
  ])('that is answered %s %s is %s', async (status, body, kind) => {
    await using engine = await startOddEngine((_request, response) => response.writeHead(status).end(body));
    for (const builder of ['buildkit', 'classic'] as const) {
      await expect(build(engine.dockerHost, builder)).rejects.toMatchObject({ kind });
    }
  });
});

test('an engine without sessions builds classically, unless BuildKit was asked for', async () => {
  await using engine = await startOddEngine((request, response) => {
    if (request.url === '/version') response.end('{"Version":"4.3.1","Platform":{"Name":"podman"}}');
    else response.end('{"stream":"Successfully built 0123456789ab\\n"}\n');
  }, false);
  expect(
    await createEngine({ dockerHost: engine.dockerHost, builder: 'auto' }).describe(recordCall().signal),
  ).toEqual({
    name: 'podman',
    version: '4.3.1',
    builder: 'classic',
  });
  expect(await build(engine.dockerHost, 'auto')).toEqual({ imageId: '0123456789ab' });
  await expect(build(engine.dockerHost, 'buildkit')).rejects.toMatchObject({ kind: 'lacking' });
});

test('the digest of a push is read from the line of its own tag, where nothing else tells it', async () => {
  const digest = `sha256:${'a'.repeat(64)}`;
  const lines = [
    `other: digest: sha256:${'b'.repeat(64)} size: 1`,
    `v1: digest: ${digest} size: 1`,
    `v12: digest: sha256:${'c'.repeat(64)} size: 1`,
  ].map((status) => `${JSON.stringify({ status })}\n`);
  await using engine = await startOddEngine((_request, response) => response.end(lines.join('')));
  const odd = createEngine({ dockerHost: engine.dockerHost, builder: 'auto' });
  expect(await odd.push('a.example/b/c', 'v1', null, recordCall())).toEqual({ digest });
  await expect(odd.push('a.example/b/c', 'v2', null, recordCall())).rejects.toMatchObject({ kind: 'failed' });
});

test('an engine that never answers is let go of when the call is aborted', async () => {
  await using engine = await startOddEngine(() => undefined);
  const odd = createEngine({ dockerHost: engine.dockerHost, builder: 'classic' });
  await using context = await makeContext({ Dockerfile: 'FROM scratch\nCOPY . /\n' });
  for (const call of [
    (signal: AbortSignal) => odd.describe(signal),
    (signal: AbortSignal) => odd.inspect('a', signal),
    (signal: AbortSignal) => odd.tag('a', 'b', 'c', signal),
    (signal: AbortSignal) => odd.push('a/b', 'c', null, recordCall(signal)),
    (signal: AbortSignal) => odd.pull('a/b:c', null, recordCall(signal)),
    (signal: AbortSignal) => odd.build(buildOf(context.path), recordCall(signal)),
  ]) {
    const controller = new AbortController();
    const before = engine.requests.length;
    const pending = call(controller.signal);
    pending.catch(() => undefined);
    await expect.poll(() => engine.requests.length).toBeGreaterThan(before);
    controller.abort(new Error('told to stop'));
    await expect(pending).rejects.toThrow('told to stop');
  }
});
