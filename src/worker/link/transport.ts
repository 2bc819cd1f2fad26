import { WebSocket } from 'ws';
import type { SessionTransport } from 'autobahn';
import { noProxies, proxyFor, type Proxies } from '../../contract/network/proxies.ts';
import { formatDuration } from '../../contract/words.ts';
import { reasonOf } from '../../contract/reason.ts';
import type { Clock } from '../clock.ts';
import {
  CONNECT_WITHIN_MS,
  FRAME_MAX_BYTES,
  GOODBYE_WITHIN_MS,
  PING_EVERY_MS,
  SILENCE_MAX_MS,
} from '../limits.ts';
import type { TlsOptions } from './tls.ts';
import { openTunnel, secureTunnel } from './tunnel.ts';

/** A WebSocket to a manager, as autobahn's sessions want it. Several sessions may use it, one after the other. */
export interface Transport extends SessionTransport {
  /** Resolves when the connection is gone, with why. Never rejects. */
  readonly closed: Promise<string>;
  /** How long a peer that has answered pings may say nothing from now on, in milliseconds. */
  bearSilence(ms: number): void;
  /** Closes it, and does not wait for a peer that does not answer. */
  end(): void;
}

export interface TransportOptions {
  /** None when absent. */
  readonly proxies?: Proxies;
  /** How long the connection may take to open, in milliseconds, its tunnel and its handshakes included. */
  readonly withinMs?: number;
}

const HELLO = 1;
const WELCOME = 2;
const GOODBYE = 6;
/** A deployed manager closes the connection on a role's feature that it does not know. */
const ROLES = { caller: {}, callee: {}, publisher: {}, subscriber: {} };

/** Opens a connection, through a proxy where there is one for this endpoint. Throws when it does not open within its time, or the manager is not who it must be. */
export async function openTransport(
  endpoint: URL,
  tls: TlsOptions,
  clock: Clock,
  signal: AbortSignal,
  { proxies = noProxies, withinMs = CONNECT_WITHIN_MS }: TransportOptions = {},
): Promise<Transport> {
  signal.throwIfAborted();
  const opening = new AbortController();
  const giveUp = (): void => opening.abort(signal.reason);
  signal.addEventListener('abort', giveUp);
  const deadline = setTimeout(
    () => opening.abort(new Error(`the connection did not open within ${formatDuration(withinMs)}`)),
    withinMs,
  );
  try {
    const socket = await openSocket(endpoint, tls, opening.signal, proxies);
    return createTransport(socket, clock);
  } finally {
    clearTimeout(deadline);
    signal.removeEventListener('abort', giveUp);
  }
}

interface OpenSocket {
  readonly socket: WebSocket;
  readonly closed: Promise<string>;
  /** Ends it, for this reason. */
  readonly fail: (reason: string) => void;
}

async function openSocket(
  endpoint: URL,
  tls: TlsOptions,
  signal: AbortSignal,
  proxies: Proxies,
): Promise<OpenSocket> {
  const proxy = proxyFor(endpoint, proxies);
  const tunnel = proxy === null ? null : await openTunnel(endpoint, new URL(proxy), signal);
  const socket = new WebSocket(endpoint, ['wamp.2.json'], {
    ...tls,
    ...(tunnel && {
      createConnection: () => (endpoint.protocol === 'wss:' ? secureTunnel(tunnel, endpoint, tls) : tunnel),
    }),
    maxPayload: FRAME_MAX_BYTES,
    perMessageDeflate: false,
  });
  let failure = '';
  // For the life of the socket: one bad frame would end the process otherwise.
  socket.on('error', (error) => (failure ||= error.message));
  const closed = new Promise<string>((resolve) => {
    socket.on('close', (code, reason) => {
      resolve(
        failure || `the connection was closed (${code}${reason.length > 0 ? `, ${String(reason)}` : ''})`,
      );
    });
  });
  const fail = (reason: string): void => {
    failure ||= reason;
    socket.terminate();
  };
  const abort = (): void => fail(reasonOf(signal.reason));
  signal.addEventListener('abort', abort);
  try {
    await new Promise<void>((resolve, reject) => {
      socket.on('open', resolve);
      void closed.then((reason) => reject(new Error(reason)));
    });
  } finally {
    signal.removeEventListener('abort', abort);
  }
  return { socket, closed, fail };
}

function createTransport({ socket, closed, fail }: OpenSocket, clock: Clock): Transport {
  const bearSilence = watchForSilence(socket, clock, fail);
  const farewells = followFarewells();
  const transport: Transport = {
    closed,
    bearSilence,
    onmessage: () => undefined,
    send: (message) => {
      // What was said to a connection that is gone is lost with it.
      if (socket.readyState !== WebSocket.OPEN) return;
      farewells.said(message[0]);
      socket.send(JSON.stringify(message[0] === HELLO ? withPlainRoles(message) : message));
    },
    close: (_code, reason) => fail(reason ?? 'closed'),
    end: () => {
      socket.close(1000);
      const callOff = clock.after(GOODBYE_WITHIN_MS, () => socket.terminate());
      void closed.then(callOff);
    },
  };
  socket.on('message', (data, isBinary) => {
    try {
      if (isBinary) throw new TypeError('a binary frame');
      const message: unknown = JSON.parse((data as Buffer).toString());
      if (!Array.isArray(message)) throw new TypeError('not an array');
      if (!farewells.isLate(message[0])) transport.onmessage(message);
    } catch (error) {
      fail(`the manager sent what is not WAMP: ${error instanceof Error ? error.name : 'unreadable'}`);
    }
  });
  return transport;
}

interface Farewells {
  said(type: unknown): void;
  /** Whether this answers GOODBYE of the session before, which did not wait for it any longer. */
  isLate(type: unknown): boolean;
}

/** Follows GOODBYE over the sessions of a connection: an answer that is late comes before the next WELCOME, and would end that session. */
function followFarewells(): Farewells {
  let isOwed = false;
  let isOwedToFormer = false;
  return {
    said: (type) => {
      if (type === GOODBYE) isOwed = true;
      if (type !== HELLO) return;
      isOwedToFormer = isOwed;
      isOwed = false;
    },
    isLate: (type) => {
      const late = type === GOODBYE && isOwedToFormer;
      if (late || type === WELCOME) isOwedToFormer = false;
      else if (type === GOODBYE) isOwed = false;
      return late;
    },
  };
}

function withPlainRoles(hello: unknown[]): unknown[] {
  const [type, realm, details] = hello;
  return [type, realm, { ...(details as object), roles: ROLES }];
}

/** A cut network says nothing. A peer that answers pings, and then falls silent, is gone. */
function watchForSilence(
  socket: WebSocket,
  clock: Clock,
  fail: (reason: string) => void,
): Transport['bearSilence'] {
  let longest = SILENCE_MAX_MS;
  let heard = clock.now();
  let looked = heard;
  let answersPings = false;
  const hear = (): void => void (heard = clock.now());
  socket.on('message', hear);
  socket.on('pong', () => {
    answersPings = true;
    hear();
  });
  const look = (): void => {
    // Whoever was stopped itself, by a signal or a machine that is busy, has not read yet what came meanwhile.
    if (clock.now() - looked > 2 * PING_EVERY_MS) hear();
    looked = clock.now();
    if (answersPings && clock.now() - heard > longest) {
      fail('the manager has fallen silent');
      return;
    }
    socket.ping();
    callOff = clock.after(PING_EVERY_MS, look);
  };
  let callOff = clock.after(PING_EVERY_MS, look);
  socket.on('close', () => callOff());
  return (ms) => void (longest = ms);
}
