import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocket } from 'ws';
import type { ClientOptions } from 'ws';
import { attachWebSockets } from '../../../src/wamp/index.ts';
import type {
  RealmPolicy,
  Router,
  RouterOptions,
  WebSocketOptions,
  WebSocketTransport,
} from '../../../src/wamp/index.ts';
import { ALL_ROLES, routerWith } from './peer.ts';

/** A router that listens on a free port of the loopback. */
export interface RunningRouter extends AsyncDisposable {
  readonly router: Router<undefined>;
  readonly port: number;
  readonly url: string;
  readonly drainTransport: WebSocketTransport<undefined>['drain'];
  readonly closeTransport: () => Promise<void>;
}

export async function startRouter(
  policy: RealmPolicy<undefined> = {},
  routerOptions: RouterOptions<undefined> = {},
  webSocketOptions: Partial<WebSocketOptions> = {},
): Promise<RunningRouter> {
  // When a test is over, nobody waits long for clients that say no more.
  const limits = { closeTimeout: 50, ...routerOptions.limits };
  const router = routerWith(policy, { ...routerOptions, limits });
  const server = createServer((_request, response) => response.writeHead(426).end());
  const transport = attachWebSockets(router, server, { paths: ['/', '/b1/socket'], ...webSocketOptions });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    router,
    port,
    url: `ws://127.0.0.1:${port}/`,
    drainTransport: (isNeeded) => transport.drain(isNeeded),
    closeTransport: () => transport.close(),
    async [Symbol.asyncDispose]() {
      server.close();
      await transport.close();
      server.closeAllConnections();
    },
  };
}

/** A raw WebSocket that speaks WAMP as the test says. */
export interface RawClient {
  readonly socket: WebSocket;
  say(message: unknown): void;
  /** The next message; rejects when the connection has closed without one. */
  next(): Promise<unknown[]>;
  /** Says something, and waits for the next message. */
  ask(message: unknown): Promise<unknown[]>;
  /** The status of the closing frame, once the connection has closed. */
  readonly closed: Promise<number>;
}

export async function openClient(url: string, options: ClientOptions = {}): Promise<RawClient> {
  const socket = new WebSocket(url, 'wamp.2.json', options);
  const heard: unknown[][] = [];
  const waiting: { resolve: (message: unknown[]) => void; reject: (error: Error) => void }[] = [];
  socket.on('message', (data: Buffer) => {
    const message = JSON.parse(data.toString()) as unknown[];
    const first = waiting.shift();
    if (first) first.resolve(message);
    else heard.push(message);
  });
  const closed = new Promise<number>((resolve) => {
    socket.on('close', (status) => {
      for (const { reject } of waiting.splice(0)) reject(new Error(`closed with ${status}`));
      resolve(status);
    });
  });
  await once(socket, 'open');
  const client: RawClient = {
    socket,
    closed,
    say: (message) => socket.send(JSON.stringify(message)),
    next() {
      const message = heard.shift();
      if (message) return Promise.resolve(message);
      if (socket.readyState === WebSocket.CLOSED) return Promise.reject(new Error('closed'));
      return new Promise((resolve, reject) => waiting.push({ resolve, reject }));
    },
    ask(message) {
      client.say(message);
      return client.next();
    },
  };
  return client;
}

/** A raw WebSocket with an open session. */
export async function joinClient(
  url: string,
  realm = 'realm1',
): Promise<RawClient & { readonly id: number }> {
  const client = await openClient(url);
  const welcome = await client.ask([1, realm, ALL_ROLES]);
  if (welcome[0] !== 2) throw new Error(`no WELCOME but ${JSON.stringify(welcome)}`);
  return Object.assign(client, { id: welcome[1] as number });
}

/** Whether a session still gets its answers. */
export async function isAlive(client: RawClient): Promise<boolean> {
  const answer = await client.ask([48, 4242, {}, 'test.nobody.offers.this']);
  return answer[0] === 8 && answer[4] === 'wamp.error.no_such_procedure';
}
