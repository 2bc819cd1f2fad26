import { once } from 'node:events';
import { createServer, connect, type Server } from 'node:net';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { agentBytes, checkAgentRequest } from '../../../src/worker/engine/buildkit/protobuf.ts';
import { sshService } from '../../../src/worker/engine/buildkit/ssh.ts';
import { openFakeEngine, type FakeEngine } from './fake-engine.ts';
import { collect, makeContext } from './support.ts';

/** What of a step's conversation with an ssh agent gets through, with an agent that answers everything. */

const NOT_FOUND = 5;
const RESOURCE_EXHAUSTED = 8;
const FAILURE = Buffer.of(0, 0, 0, 1, 5);

let folder: Awaited<ReturnType<typeof makeContext>>;
let agent: Server;
let asked: number[];
let engine: FakeEngine;

beforeEach(async () => {
  asked = [];
  folder = await makeContext({});
  const path = join(folder.path, 'agent');
  agent = createServer((socket) => {
    socket.on('data', (data) => {
      asked.push(data[4] ?? -1);
      // In two pieces, and with the question's type in it.
      socket.write(Buffer.of(0, 0));
      setImmediate(() => socket.write(Buffer.of(0, 2, 99, data[4] ?? 0)));
    });
  }).listen(path);
  await once(agent, 'listening');
  engine = await openFakeEngine(sshService(new Map([['default', { connect: () => connect(path) }]])));
});
afterEach(async () => {
  engine[Symbol.dispose]();
  agent.close();
  await rm(folder.path, { recursive: true });
});

const question = (type: number, content = ''): Buffer => {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(content.length + 1);
  head[4] = type;
  return Buffer.concat([head, Buffer.from(content)]);
};

test.each([
  ['', 0],
  ['default', 0],
  ['other', NOT_FOUND],
])('a mount of %j ends with status %d', async (id, code) => {
  const call = engine.begin('/moby.sshforward.v1.SSH/CheckAgent');
  call.send(checkAgentRequest.encode({ id }));
  call.stream.end();
  call.stream.resume();
  expect((await call.status).code).toBe(code);
});

describe('a connection', () => {
  test('asks for keys and signatures, and for nothing else, however its bytes are cut', async () => {
    const call = engine.begin('/moby.sshforward.v1.SSH/ForwardAgent', { 'buildkit.ssh.id': 'default' });
    // List, sign, add a key, remove all, load a library, lock, extension, list again.
    const wire = Buffer.concat(
      [11, 13, 17, 19, 20, 22, 26, 27].map((type) => question(type, 'content')).concat(question(11)),
    );
    for (let at = 0; at < wire.length; at += 7) {
      call.send(agentBytes.encode({ data: wire.subarray(at, at + 7) }));
    }
    call.stream.end();
    const answers = await collect(call.messages);
    const passed = (type: number): Buffer => Buffer.of(0, 0, 0, 2, 99, type);
    expect(Buffer.concat(answers.map((each) => Buffer.from(agentBytes.decode(each).data)))).toEqual(
      Buffer.concat([passed(11), passed(13), ...Array<Buffer>(6).fill(FAILURE), passed(11)]),
    );
    expect(asked).toEqual([11, 13, 11]);
    expect((await call.status).code).toBe(0);
  });

  test('ends where a message says that it is longer than any is', async () => {
    const call = engine.begin('/moby.sshforward.v1.SSH/ForwardAgent');
    call.send(agentBytes.encode({ data: Buffer.of(0xff, 0xff, 0xff, 0xff, 11) }));
    call.stream.resume();
    expect((await call.status).code).toBe(RESOURCE_EXHAUSTED);
    expect(asked).toEqual([]);
  });
});
