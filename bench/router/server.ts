import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocketServer } from 'ws';
import { attachWebSockets, createRouter } from '../../src/wamp/index.ts';
import type { RealmPolicy } from '../../src/wamp/index.ts';
import type { ServerMode, ServerReply, ServerRequest } from './messages.ts';

/** The process that is measured: a raw echo over ws, or the router. */

const http = createServer();

/** Every realm has it, as a manager's realms have their procedures. */
const policy: RealmPolicy<undefined> = {
  procedures: new Map([['bench.ping', () => ({ args: ['pong'] })]]),
};

function serve(mode: ServerMode): void {
  if (mode === 'echo') {
    const server = new WebSocketServer({ server: http, perMessageDeflate: false });
    server.on('connection', (socket) => {
      socket.on('message', (data, binary) => socket.send(data, { binary }));
    });
    return;
  }
  const router = createRouter({ openRealm: () => Promise.resolve({ policy, data: undefined }) });
  attachWebSockets(router, http, { paths: ['/'] });
}

function reply(message: ServerReply): void {
  process.send?.(message);
}

process.on('message', (message: ServerRequest) => {
  if (message.type === 'memory') {
    // The process runs with --expose-gc: what nobody holds is not counted.
    for (let round = 0; round < 3; round++) globalThis.gc?.();
    reply({ type: 'memory', resident: process.memoryUsage().rss });
    return;
  }
  serve(message.mode);
  http.listen(0, '127.0.0.1', () => {
    reply({ type: 'listening', port: (http.address() as AddressInfo).port });
  });
});
process.on('disconnect', () => process.exit());
