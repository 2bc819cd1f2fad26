import type { IncomingMessage, Server } from 'node:http';
import type { Server as HttpsServer } from 'node:https';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import type { RawData, ServerOptions, WebSocket } from 'ws';
import type { Connection } from './connection.ts';
import { errorUris } from './errors.ts';
import type { Session, TransportInfo } from './policy.ts';
import type { Router } from './router.ts';
import type { Transport } from './session.ts';

const SUBPROTOCOL = 'wamp.2.json';

/** WebSocket close status (RFC 6455, section 7.4.1). */
const NORMAL = 1000;

export interface WebSocketOptions {
  /** Where WebSockets may be opened; elsewhere is 404. */
  readonly paths: readonly string[];
  /**
   * Whether a page of this origin may connect from a browser; others are refused with 403. Everybody may when it is absent. Programs
   * send no origin, and are not asked for one.
   */
  readonly allowOrigin?: (origin: string) => boolean;
  /**
   * How often each peer is sent a WebSocket ping, in milliseconds; 0, the default, for never. It keeps middleboxes from
   * forgetting an idle connection. A peer that does not answer is not dropped: deployed clients never answer.
   */
  readonly pingInterval?: number;
  /**
   * After how long without traffic the kernel probes whether a peer is still there, in milliseconds; 0 for never, 30 s by
   * default. It finds half-open connections, and asks nothing of the peer's program.
   */
  readonly keepAlive?: number;
  /** Time in milliseconds since 1970. */
  readonly now?: () => number;
}

export interface WebSocketTransport<Data = unknown> {
  /** Connections that are open now, with or without a session. */
  readonly connectionCount: number;
  /**
   * Takes no more connections, and ends those without a session that `isNeeded`, in the way of `close`. May be called again, when
   * fewer are needed.
   */
  drain(isNeeded: (session: Session<Data>) => boolean): void;
  /**
   * Takes no more connections, ends all sessions with GOODBYE `wamp.close.system_shutdown` and closes their connections, at the
   * latest after twice the limits' `closeTimeout`. The HTTP server stays open: it is its owner's.
   */
  close(): Promise<void>;
}

/** Lets peers reach a router over WebSocket, by the upgrades of an HTTP or HTTPS server. */
export function attachWebSockets<Data>(
  router: Router<Data>,
  server: Server | HttpsServer,
  options: WebSocketOptions,
): WebSocketTransport<Data> {
  const { paths, pingInterval = 0, keepAlive = 30_000, now = Date.now } = options;
  const { limits, logger } = router;
  const peers = new Set<WebSocketPeer<Data>>();
  // One for all: a function of each connection's own would keep the request that opened it.
  const forget = (gone: WebSocketPeer<Data>): void => void peers.delete(gone);
  let isDraining = false;
  let closing: Promise<void> | null = null;
  // The types of ws do not know closeTimeout yet.
  const serverOptions: ServerOptions & { closeTimeout: number } = {
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: limits.messageSize,
    closeTimeout: limits.closeTimeout,
    handleProtocols: (offered) => (offered.has(SUBPROTOCOL) ? SUBPROTOCOL : false),
  };
  const webSockets = new WebSocketServer(serverOptions);
  // Without a listener ws answers a malformed handshake itself, as it does here; only the count is added.
  webSockets.on('wsClientError', (error, socket) => {
    router.dropped('connection');
    logger.debug({ err: error }, 'an opening handshake was malformed');
    refuse(socket, 400, 'Bad Request', error.message);
  });

  const onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const refusal = refusalOf(request);
    // An HTTP or HTTPS server has no other kind of socket.
    if (refusal || !(socket instanceof Socket)) {
      router.dropped('connection');
      refuse(socket, ...(refusal ?? ([400, 'Bad Request', 'not a socket'] as const)));
      return;
    }
    webSockets.handleUpgrade(request, socket, head, (webSocket) => {
      peers.add(new WebSocketPeer(router, webSocket, request, socket, now, forget));
    });
    if (keepAlive > 0) socket.setKeepAlive(true, keepAlive);
  };

  function refusalOf(request: IncomingMessage): [status: number, reason: string, text: string] | null {
    if (!paths.includes(pathOf(request))) return [404, 'Not Found', 'no WebSocket is served at this path'];
    const { origin } = request.headers;
    if (origin !== undefined && options.allowOrigin?.(origin) === false) {
      return [403, 'Forbidden', 'pages of this origin may not connect'];
    }
    const offered = request.headers['sec-websocket-protocol']?.split(',').map((each) => each.trim()) ?? [];
    if (!offered.includes(SUBPROTOCOL)) {
      return [400, 'Bad Request', `the WebSocket subprotocol must be ${SUBPROTOCOL}`];
    }
    if (isDraining || peers.size >= limits.connections) {
      return [503, 'Service Unavailable', 'no more connections are taken now'];
    }
    return null;
  }

  server.on('upgrade', onUpgrade);
  const pings =
    pingInterval > 0 ? setInterval(() => peers.forEach((peer) => peer.ping()), pingInterval).unref() : null;

  return {
    get connectionCount() {
      return peers.size;
    },
    drain(isNeeded) {
      isDraining = true;
      for (const peer of peers) {
        if (!peer.session || !isNeeded(peer.session)) void peer.shutDown();
      }
    },
    close() {
      isDraining = true;
      closing ??= Promise.all([...peers].map((peer) => peer.shutDown())).then(() => {
        if (pings) clearInterval(pings);
        server.off('upgrade', onUpgrade);
      });
      return closing;
    },
  };
}

/** One WebSocket, as a transport of WAMP. */
class WebSocketPeer<Data> implements Transport {
  readonly info: TransportInfo;
  lastSeen: number;
  readonly #router: Router<Data>;
  readonly #webSocket: WebSocket;
  readonly #socket: Socket;
  readonly #now: () => number;
  readonly #connection: Connection<Data>;
  #corked = false;

  constructor(
    router: Router<Data>,
    webSocket: WebSocket,
    request: IncomingMessage,
    socket: Socket,
    now: () => number,
    onClose: (peer: WebSocketPeer<Data>) => void,
  ) {
    this.#router = router;
    this.#webSocket = webSocket;
    this.#socket = socket;
    this.#now = now;
    this.lastSeen = now();
    this.info = { address: addressOf(this.#socket), path: pathOf(request) };
    this.#connection = router.connect(this);
    const seen = () => (this.lastSeen = this.#now());
    webSocket.on('message', (data, isBinary) => this.#receive(data, isBinary));
    webSocket.on('ping', seen);
    webSocket.on('pong', seen);
    // A malformed or oversized frame: ws closes the connection with the status that RFC 6455 says.
    webSocket.on('error', (error) => {
      router.dropped('violation');
      router.logger.debug({ address: this.info.address, err: error }, 'a WebSocket failed');
    });
    webSocket.on('close', () => {
      this.#connection.gone();
      onClose(this);
    });
  }

  get bytesReceived(): number {
    return this.#socket.bytesRead;
  }

  get session(): Session<Data> | null {
    return this.#connection.session;
  }

  send(text: string): void {
    const webSocket = this.#webSocket;
    if (webSocket.readyState !== webSocket.OPEN) return;
    // What one turn of the loop says to a peer leaves in one system call.
    if (!this.#corked) {
      this.#corked = true;
      this.#socket.cork();
      process.nextTick(uncork, this);
    }
    webSocket.send(text);
    if (webSocket.bufferedAmount > this.#router.limits.backlog) {
      this.#router.dropped('backlog');
      this.#router.logger.warn({ address: this.info.address }, 'a peer that does not read was cut off');
      webSocket.terminate();
    }
  }

  close(): void {
    this.#webSocket.close(NORMAL);
  }

  ping(): void {
    if (this.#webSocket.readyState === this.#webSocket.OPEN) this.#webSocket.ping();
  }

  /** Says GOODBYE, and closes when it was answered, or the time for that is over. */
  shutDown(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#webSocket.once('close', () => resolve()));
    this.#connection.goodbye(errorUris.systemShutdown, 'the router is shutting down', true);
    return closed;
  }

  uncork(): void {
    this.#corked = false;
    this.#socket.uncork();
  }

  #receive(data: RawData, isBinary: boolean): void {
    this.lastSeen = this.#now();
    if (isBinary) {
      this.#connection.violation(`${SUBPROTOCOL} is text: a binary message came`);
      return;
    }
    // ws hands over one Buffer, unless asked for something else.
    if (Buffer.isBuffer(data)) this.#connection.receive(data.toString());
  }
}

function uncork(peer: { uncork(): void }): void {
  peer.uncork();
}

function pathOf(request: IncomingMessage): string {
  return (request.url ?? '').split('?', 1)[0] ?? '';
}

function addressOf(socket: Socket): string {
  const { remoteAddress = 'unknown', remotePort = 0, remoteFamily } = socket;
  return remoteFamily === 'IPv6' ? `[${remoteAddress}]:${remotePort}` : `${remoteAddress}:${remotePort}`;
}

/** Answers an upgrade that is not granted, and closes the connection. */
function refuse(socket: Duplex, status: number, reason: string, text: string): void {
  socket.on('error', () => socket.destroy());
  socket.end(
    `HTTP/1.1 ${status} ${reason}\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n` +
      `Content-Length: ${Buffer.byteLength(text) + 1}\r\n\r\n${text}\n`,
    () => socket.destroy(),
  );
}
