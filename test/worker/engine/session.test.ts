import fc from 'fast-check';
import { expect, test } from 'vitest';
import { authService } from '../../../src/worker/engine/buildkit/auth.ts';
import { fileSyncService } from '../../../src/worker/engine/buildkit/file-sync.ts';
import { readGrpcMessages } from '../../../src/worker/engine/buildkit/grpc.ts';
import { healthService } from '../../../src/worker/engine/buildkit/health.ts';
import {
  credentialsRequest,
  credentialsResponse,
  healthCheckResponse,
  packet,
  SERVING,
} from '../../../src/worker/engine/buildkit/protobuf.ts';
import { frame, openFakeEngine } from './fake-engine.ts';
import { collect, makeContext } from './support.ts';

const CHECK = '/grpc.health.v1.Health/Check';
const CREDENTIALS = '/moby.filesync.v1.Auth/Credentials';
const DIFF_COPY = '/moby.filesync.v1.FileSync/DiffCopy';
const UNIMPLEMENTED = 12;
const SECRET = { username: '$token', password: 'sésame' };

test('answers that it is well', async () => {
  using engine = await openFakeEngine(healthService);
  const call = engine.begin(CHECK);
  call.send(new Uint8Array());
  call.stream.end();
  const answers = await collect(call.messages);
  expect(answers.map((bytes) => healthCheckResponse.decode(bytes).status)).toEqual([SERVING]);
  expect(await call.status).toEqual({ code: 0, message: '' });
});

test.each([
  '/grpc.health.v1.Health/Watch',
  '/grpc.health.v1.Health/List',
  '/moby.filesync.v1.Auth/FetchToken',
  '/constructor',
  '/',
])('does not know %s', async (path) => {
  using engine = await openFakeEngine([...healthService, ...authService(new Map())]);
  const call = engine.begin(path);
  call.stream.end();
  expect((await call.status).code).toBe(UNIMPLEMENTED);
});

test.each([
  ['registry.example:5000', 'registry.example:5000', true],
  ['registry.example:5000', 'Registry.Example:5000', true],
  ['registry.example:5000', 'registry.example', false],
  ['registry.example:5000', 'registry.example:50000', false],
  ['registry.example', 'evil.registry.example', false],
  ['docker.io', 'registry-1.docker.io', true],
  ['https://index.docker.io/v1/', 'docker.io', true],
  ['docker.io', 'docker.io.example', false],
  ['docker.io', '', false],
])('credentials of %s for %s: %s', async (known, asked, given) => {
  using engine = await openFakeEngine(authService(new Map([[known, SECRET]])));
  const call = engine.begin(CREDENTIALS);
  call.send(credentialsRequest.encode({ host: asked }));
  call.stream.end();
  const [answer] = await collect(call.messages);
  const { username, secret } = credentialsResponse.decode(answer ?? Buffer.alloc(0));
  expect({ username, secret }).toEqual(
    given ? { username: SECRET.username, secret: SECRET.password } : { username: '', secret: '' },
  );
});

test('whatever bytes a call brings, it ends with a status and the session lives on', async () => {
  await using context = await makeContext({ file: 'content' });
  using engine = await openFakeEngine([
    ...healthService,
    ...authService(new Map()),
    ...fileSyncService(new Map([['context', context.path]])),
  ]);
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 100 }),
    fc.uint8Array({ maxLength: 100 }).map((message) => new Uint8Array(frame(message))),
    fc
      .record({ type: fc.nat(6), id: fc.nat(3), data: fc.uint8Array({ maxLength: 10 }) })
      .map((each) => new Uint8Array(frame(packet.encode(each)))),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(CHECK, CREDENTIALS, DIFF_COPY),
      fc.constantFrom('context', 'dockerfile', 'x'),
      fc.array(bytes, { maxLength: 8 }),
      async (path, directory, chunks) => {
        const call = engine.begin(path, { 'dir-name': directory });
        for (const chunk of chunks) call.stream.write(chunk);
        call.stream.end();
        call.stream.resume();
        expect((await call.status).code).toBeGreaterThanOrEqual(0);
      },
    ),
    { numRuns: 200 },
  );
  const call = engine.begin(CHECK);
  call.send(new Uint8Array());
  call.stream.end();
  call.stream.resume();
  expect((await call.status).code).toBe(0);
});

test('reads gRPC messages however they are cut, and refuses what is none', async () => {
  async function* cut(bytes: Buffer, sizes: readonly number[]): AsyncGenerator<Buffer> {
    let at = 0;
    for (const size of [...sizes, bytes.length]) {
      yield await Promise.resolve(bytes.subarray(at, at + size));
      at += size;
    }
  }
  await fc.assert(
    fc.asyncProperty(fc.array(fc.uint8Array()), fc.array(fc.nat(30)), async (messages, sizes) => {
      const wire = Buffer.concat(messages.map((message) => frame(message)));
      const read = await collect(readGrpcMessages(cut(wire, sizes)));
      expect(read.map((message) => new Uint8Array(message))).toEqual(messages);
    }),
  );
  for (const [bytes, words] of [
    [Buffer.from([1, 0, 0, 0, 1, 0]), 'compressed'],
    [Buffer.from([0, 0xff, 0xff, 0xff, 0xff]), 'more than'],
    [Buffer.from([0, 0, 0, 0, 2, 0]), 'within a message'],
    [Buffer.from([0, 0]), 'within a message'],
  ] as const) {
    await expect(collect(readGrpcMessages(cut(bytes, [1])))).rejects.toThrow(words);
  }
});
