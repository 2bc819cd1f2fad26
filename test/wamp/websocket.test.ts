import { once } from 'node:events';
import { request } from 'node:http';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { describe, expect, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import type { Drop, Session } from '../../src/wamp/index.ts';
import { ALL_ROLES } from './support/peer.ts';
import { isAlive, joinClient, openClient, startRouter } from './support/server.ts';
import type { RunningRouter } from './support/server.ts';

/** The HTTP status that answers an upgrade. */
async function upgradeStatus(router: RunningRouter, path: string, protocol: string | null): Promise<number> {
  const headers = {
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
    ...(protocol === null ? {} : { 'Sec-WebSocket-Protocol': protocol }),
  };
  return new Promise((resolve, reject) => {
    request({ port: router.port, path, headers })
      .on('upgrade', (response, socket) => {
        socket.destroy();
        resolve(response.statusCode ?? 0);
      })
      .on('response', (response) => resolve(response.resume().statusCode ?? 0))
      .on('error', reject)
      .end();
  });
}

/** A connection past its opening handshake, for writing bytes. */
async function openBytes(router: RunningRouter): Promise<Socket> {
  const socket = connect(router.port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.write(
    'GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n' +
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: wamp.2.json\r\n\r\n',
  );
  for (let answer = ''; !answer.endsWith('\r\n\r\n');) answer += String((await once(socket, 'data'))[0]);
  return socket;
}

/** A frame as a client sends it, its mask all zeros. */
function frame(firstByte: number, payload: string | Buffer): Buffer {
  const data = Buffer.from(payload);
  const header =
    data.length < 126
      ? [firstByte, 0x80 | data.length]
      : [firstByte, 0xfe, data.length >> 8, data.length & 0xff];
  return Buffer.concat([Buffer.from(header), Buffer.alloc(4), data]);
}

const TEXT = 0x81;
const HELLO = JSON.stringify([1, 'realm1', ALL_ROLES]);

/** Reads frames of the router until one has this opcode; answers with its payload. */
async function readUntil(socket: Socket, opcode: number): Promise<Buffer> {
  let bytes = Buffer.alloc(0);
  for (;;) {
    while (bytes.length >= 2) {
      const short = (bytes[1] ?? 0) & 0x7f;
      const [length, start] = short === 126 ? [bytes.readUInt16BE(2), 4] : [short, 2];
      if (bytes.length < start + length) break;
      const payload = bytes.subarray(start, start + length);
      if (((bytes[0] ?? 0) & 0x0f) === opcode) return payload;
      bytes = bytes.subarray(start + length);
    }
    const [more] = (await once(socket, 'data')) as [Buffer];
    bytes = Buffer.concat([bytes, more]);
  }
}

describe('the opening handshake', () => {
  test('is granted at the paths that are served, for the subprotocol of WAMP over JSON', async () => {
    await using router = await startRouter();
    expect(await upgradeStatus(router, '/', 'wamp.2.json')).toBe(101);
    expect(await upgradeStatus(router, '/b1/socket?x=1', 'wamp.2.msgpack, wamp.2.json')).toBe(101);
  });

  test.each([
    ['/elsewhere', 'wamp.2.json', 404],
    ['//', 'wamp.2.json', 404],
    ['/', 'wamp.2.msgpack', 400],
    ['/', null, 400],
  ])('at %s for %s is refused with %i', async (path, protocol, status) => {
    await using router = await startRouter();
    expect(await upgradeStatus(router, path, protocol)).toBe(status);
  });

  test('is refused to pages of origins that are not allowed, and never to programs', async () => {
    const allowOrigin = (origin: string) => origin === 'https://builds.example';
    await using router = await startRouter({}, {}, { allowOrigin });
    await openClient(router.url, { origin: 'https://builds.example' });
    await openClient(router.url);
    await expect(openClient(router.url, { origin: 'https://evil.example' })).rejects.toThrow('403');
  });

  test('is refused when there are as many connections as there may be', async () => {
    const drops: Drop[] = [];
    await using router = await startRouter(
      {},
      { limits: { connections: 1 }, onDrop: (drop) => drops.push(drop) },
    );
    const client = await joinClient(router.url);
    expect(await upgradeStatus(router, '/', 'wamp.2.json')).toBe(503);
    expect(drops).toEqual(['connection']);
    expect(await isAlive(client)).toBe(true);
  });

  test.each([
    ['no HTTP', 'hello\r\n\r\n'],
    [
      'another version of WebSocket',
      'GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 1\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: wamp.2.json\r\n\r\n',
    ],
    [
      'a key of the wrong length',
      'GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Protocol: wamp.2.json\r\n\r\n',
    ],
    [
      'a malformed list of subprotocols',
      'GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: wamp.2.json,,\r\n\r\n',
    ],
  ])('that is %s is answered with a status and closed', async (_what, text) => {
    await using router = await startRouter();
    const other = await joinClient(router.url);
    const socket = connect(router.port, '127.0.0.1');
    socket.write(text);
    const [answer] = (await once(socket, 'data')) as [Buffer];
    expect(answer.toString()).toMatch(/^HTTP\/1.1 4\d\d /);
    await once(socket, 'close');
    expect(await isAlive(other)).toBe(true);
  });
});

describe('a connection', () => {
  test.each([
    ['an unmasked frame', Buffer.from([0x81, 0x02, 0x5b, 0x5d]), 1002],
    ['a reserved bit', frame(0xc1, '[]'), 1002],
    ['an unknown opcode', frame(0x83, '[]'), 1002],
    ['a continuation of nothing', frame(0x80, '[]'), 1002],
    ['a fragmented ping', frame(0x09, ''), 1002],
    ['a ping that is too long', frame(0x89, 'x'.repeat(126)), 1002],
    ['a closing frame with half a status', frame(0x88, 'x'), 1002],
    ['text that is not UTF-8', frame(TEXT, Buffer.from([0x5b, 0xff, 0x5d])), 1007],
    ['a message of 2^63 bytes', Buffer.from([0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), 1009],
    ['a message above the limit', Buffer.from([0x81, 0xff, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0]), 1009],
  ])('that sends %s is closed, and nobody else', async (_what, bytes, status) => {
    await using router = await startRouter();
    const other = await joinClient(router.url);
    const socket = await openBytes(router);
    socket.write(frame(TEXT, HELLO));
    await readUntil(socket, 0x1);
    socket.write(bytes);
    const closing = await readUntil(socket, 0x8);
    // A length beyond 2^53 is told as 1009 or 1002.
    expect([status, 1009]).toContain(closing.readUInt16BE(0));
    socket.destroy();
    await expect.poll(() => router.router.sessionCount).toBe(1);
    expect(await isAlive(other)).toBe(true);
  });

  test('that sends a binary message is told so, and closed', async () => {
    await using router = await startRouter();
    const client = await joinClient(router.url);
    client.socket.send(Buffer.from(HELLO));
    expect(await client.next()).toMatchObject([3, {}, 'wamp.error.protocol_violation']);
    expect(await client.closed).toBe(1000);
  });

  test('may send a message in fragments, with a ping between them, a byte at a time', async () => {
    await using router = await startRouter();
    const socket = await openBytes(router);
    socket.setNoDelay(true);
    const bytes = Buffer.concat([
      frame(0x01, HELLO.slice(0, 10)),
      frame(0x89, 'ping'),
      frame(0x00, HELLO.slice(10, 20)),
      frame(0x80, HELLO.slice(20)),
    ]);
    const pong = readUntil(socket, 0xa);
    for (const byte of bytes.subarray(0, -1)) socket.write(Buffer.from([byte]));
    expect((await pong).toString()).toBe('ping');
    const welcome = readUntil(socket, 0x1);
    socket.write(bytes.subarray(-1));
    expect(JSON.parse((await welcome).toString())).toMatchObject([2, expect.any(Number), {}]);
    socket.destroy();
  });

  test('may carry a large message, and answers with one', async () => {
    await using router = await startRouter({
      procedures: new Map([['test.echo', (args) => ({ args })]]),
    });
    const client = await joinClient(router.url);
    const long = 'ä'.repeat(4_000_000);
    expect(await client.ask([48, 1, {}, 'test.echo', [long]])).toEqual([50, 1, {}, [long]]);
  });

  test('that breaks off ends its session, and answers those who waited for it', async () => {
    await using router = await startRouter();
    const callee = await joinClient(router.url);
    const caller = await joinClient(router.url);
    await callee.ask([64, 1, {}, 'test.procedure']);
    caller.say([48, 1, {}, 'test.procedure']);
    await callee.next();
    callee.socket.terminate();
    expect(await caller.next()).toMatchObject([8, 48, 1, {}, 'wamp.error.canceled', {}]);
    expect(router.router.sessionCount).toBe(1);
  });

  test('that does not read is cut off, while another subscriber gets everything', async () => {
    const drops: Drop[] = [];
    await using router = await startRouter(
      {},
      { limits: { backlog: 1024 * 1024 }, onDrop: (drop) => drops.push(drop) },
    );
    const slow = await joinClient(router.url);
    const quick = await joinClient(router.url);
    const publisher = await joinClient(router.url);
    for (const client of [slow, quick]) await client.ask([32, 1, {}, 'test.flood']);
    slow.socket.pause();
    const text = 'x'.repeat(100_000);
    let published = 0;
    while (router.router.sessionCount === 3) {
      await publisher.ask([16, ++published, { acknowledge: true }, 'test.flood', [text]]);
      expect((await quick.next())[4]).toEqual([text]);
    }
    expect(drops).toEqual(['backlog']);
    expect(await isAlive(publisher)).toBe(true);
    slow.socket.terminate();
  });

  test('that never answers pings stays, and its frames of any kind are seen', async () => {
    let time = 1;
    await using router = await startRouter({}, {}, { pingInterval: 5, now: () => time });
    const client = await openClient(router.url, { autoPong: false });
    await client.ask([1, 'realm1', ALL_ROLES]);
    const [session] = router.router.realms.get('realm1')?.sessions.values() ?? [];
    for (let pings = 0; pings < 3; pings++) await once(client.socket, 'ping');
    expect(await isAlive(client)).toBe(true);
    expect(session?.lastSeen).toBe(1);
    time = 2;
    client.socket.ping();
    await once(client.socket, 'pong');
    expect(session?.lastSeen).toBe(2);
    time = 3;
    client.socket.pong();
    await expect.poll(() => session?.lastSeen).toBe(3);
    expect(session?.bytesReceived).toBeGreaterThan(100);
  });

  test('is known by its address and path', async () => {
    await using router = await startRouter();
    const client = await openClient(`${router.url}b1/socket`);
    await client.ask([1, 'realm1', ALL_ROLES]);
    const [session] = router.router.realms.get('realm1')?.sessions.values() ?? [];
    expect(session?.transport).toEqual({
      address: expect.stringMatching(/^127\.0\.0\.1:\d+$/) as string,
      path: '/b1/socket',
    });
  });

  test('is closed after a refusal, with everything that was said before', async () => {
    await using router = await startRouter();
    const client = await openClient(router.url);
    expect(await client.ask([1, 'nowhere', ALL_ROLES])).toMatchObject([3, {}, 'wamp.error.no_such_realm']);
    expect(await client.closed).toBe(1000);
  });

  test('of a session that is thrown out is closed', async () => {
    const joined = vi.fn((session: Session<undefined>) => session.abort('test.displaced', 'go'));
    await using router = await startRouter({ joined });
    const client = await openClient(router.url);
    await client.ask([1, 'realm1', ALL_ROLES]);
    expect(await client.next()).toEqual([3, { message: 'go' }, 'test.displaced']);
    await client.closed;
    expect(router.router.sessionCount).toBe(0);
  });
});

describe('closing', () => {
  test('says GOODBYE to every session, waits for theirs, and takes nobody else', async () => {
    await using router = await startRouter({}, { limits: { closeTimeout: 5_000 } });
    const clients = await Promise.all([joinClient(router.url), joinClient(router.url, 'realm2')]);
    const waiting = await openClient(router.url);
    const closed = router.closeTransport();
    expect(await upgradeStatus(router, '/', 'wamp.2.json')).toBe(503);
    for (const client of clients) {
      expect(await client.next()).toMatchObject([6, {}, 'wamp.close.system_shutdown']);
      expect(client.socket.readyState).toBe(WebSocket.OPEN);
      client.say([6, {}, 'wamp.close.goodbye_and_out']);
    }
    await Promise.all([...clients, waiting].map((client) => client.closed));
    await closed;
    expect(router.router.sessionCount).toBe(0);
  });

  test('may leave those who are needed for later, and takes nobody else', async () => {
    await using router = await startRouter();
    const needed = await joinClient(router.url);
    const others = [await joinClient(router.url, 'realm2'), await openClient(router.url)];
    router.drainTransport((session) => session.realm.name === 'realm1');
    await Promise.all(others.map((client) => client.closed));
    expect(await isAlive(needed)).toBe(true);
    expect(await upgradeStatus(router, '/', 'wamp.2.json')).toBe(503);
    router.drainTransport(() => false);
    expect(await needed.next()).toMatchObject([6, {}, 'wamp.close.system_shutdown']);
    await needed.closed;
  });

  test('does not wait for ever for a peer that does not answer', async () => {
    await using router = await startRouter({}, { limits: { closeTimeout: 20 } });
    const client = await joinClient(router.url);
    client.socket.pause();
    await router.closeTransport();
    expect(router.router.sessionCount).toBe(0);
    client.socket.terminate();
  });
});
