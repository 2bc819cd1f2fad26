import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { WebSocketServer } from 'ws';
import { openTransport } from '../../../src/worker/link/transport.ts';
import { fastClock } from '../harness.ts';

const never = new AbortController().signal;

it('gives up a server that takes the connection, and never answers', async () => {
  const server = createServer((socket) => socket.on('error', () => undefined).resume()).listen(
    0,
    '127.0.0.1',
  );
  await once(server, 'listening');
  for (const scheme of ['ws', 'wss']) {
    const url = new URL(`${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}`);
    await expect(openTransport(url, {}, fastClock, never, { withinMs: 300 })).rejects.toThrow(
      'did not open within 300 ms',
    );
  }
  // Nothing of it is left open.
  server.close();
  await once(server, 'close');
});

describe('silence', () => {
  it('ends a connection whose peer answered pings, and then fell silent', async () => {
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1', autoPong: false });
    await once(server, 'listening');
    server.once('connection', (socket) => socket.once('ping', () => socket.pong()));
    const url = new URL(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
    const transport = await openTransport(url, {}, fastClock, never);
    expect(await transport.closed).toBe('the manager has fallen silent');
    server.close();
  });

  it.each([
    ['never answers pings', 0],
    ['answered pings, and may be silent for longer now', 1],
  ])('keeps a connection whose peer %s', async (_what, pongs) => {
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1', autoPong: false });
    await once(server, 'listening');
    const pinged = new Promise<void>((resolve) => {
      let pings = 0;
      server.once('connection', (socket) =>
        socket.on('ping', () => {
          if (++pings <= pongs) socket.pong();
          if (pings === 7) resolve();
        }),
      );
    });
    const url = new URL(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
    const transport = await openTransport(url, {}, fastClock, never);
    if (pongs > 0) transport.bearSilence(90_000);
    await Promise.race([pinged, transport.closed.then((reason) => Promise.reject(new Error(reason)))]);
    transport.end();
    await transport.closed;
    server.close();
  });
});
