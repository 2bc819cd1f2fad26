import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocketServer, type WebSocket } from 'ws';

/** A manager of the test's own, raw frames over WebSocket, which behaves as it is told to. */

export type Frame = readonly unknown[];
type Keywords = Readonly<Record<string, unknown>>;

export const READY = 'io.quay.buildworker.ready';
export const LOG = 'io.quay.builder.logmessagesynchronously';
export const LOG_BATCH = 'io.quay.builder.logbatch';

/** Whether this frame is the worker's call of `ready`. */
export function isReady(frame: Frame): boolean {
  return frame[0] === 48 && frame[3] === READY;
}

/** Whether this frame tells the line `in the step` of a build's output, alone or among others. */
export function isInTheStep(frame: Frame): boolean {
  return frame[0] === 48 && /["n]in the step/.test(JSON.stringify(frame));
}

/** The phases that a worker has announced so far, one call each. */
export function phasesOf(worker: Worker): unknown[] {
  return worker
    .calls(LOG)
    .filter(({ json_data: data }) => String(data).includes('status_data'))
    .map(({ phase }) => phase);
}

/** Leaves a call, or HELLO, without an answer. */
export const SILENCE = Symbol('silence');

/** Answers a call with ERROR. */
export class Refusal {
  readonly uri: string;
  constructor(uri: string) {
    this.uri = uri;
  }
}

export interface Behaviour {
  /** Extensions that WELCOME accepts in a worker's realm. */
  readonly extensions?: readonly string[];
  /** Answers a HELLO: a frame, SILENCE, or undefined for WELCOME. */
  readonly onHello?: (realm: string, worker: Worker) => Frame | typeof SILENCE | undefined;
  /** Leaves GOODBYE without an answer. */
  readonly ignoresGoodbye?: boolean;
  /** Answers a call: a value, SILENCE, a Refusal, or undefined for what a manager usually says. */
  readonly onCall?: (procedure: string, kwargs: Keywords, worker: Worker) => unknown;
}

export interface BuildAnswer {
  /** The whole frame: YIELD, or ERROR. */
  readonly frame: Frame;
  readonly error: string | null;
  readonly kwargs: Keywords;
}

/** A worker's connection, as its manager sees it. */
export interface Worker {
  readonly socket: WebSocket;
  /** Every frame that it sent, in order. */
  readonly frames: readonly Frame[];
  /** Resolves with the first frame, sent already or yet to come, that fits. Rejects when the connection ends first. */
  frame(fits: (frame: Frame) => boolean, what?: string): Promise<Frame>;
  /** The calls of a procedure so far, by their kwargs. */
  calls(procedure: string): Keywords[];
  send(frame: Frame): void;
  /** Calls the worker's build procedure; resolves with its answer. */
  build(kwargs: Keywords): Promise<BuildAnswer>;
  /** Publishes to a topic that the worker has subscribed to. */
  publish(topic: string, kwargs: Keywords): void;
  readonly closed: Promise<void>;
}

export interface TestManager extends AsyncDisposable {
  readonly url: URL;
  /** Resolves with the next connection that comes. */
  connection(): Promise<Worker>;
}

const usual: Readonly<Record<string, unknown>> = {
  'io.quay.buildworker.register': '5e7c2a54-realm',
  'io.quay.buildworker.ping': 'pong',
  'io.quay.buildworker.ready': true,
  'io.quay.buildworker.determinecachetag': '',
  'io.quay.builder.logmessagesynchronously': true,
  'io.quay.builder.logbatch': true,
};

/** Starts a manager on a free loopback port, or on a server that is given (for TLS). */
export async function startTestManager(behaviour: Behaviour = {}, server?: Server): Promise<TestManager> {
  const sockets = new WebSocketServer({
    ...(server ? { server } : { port: 0, host: '127.0.0.1' }),
    handleProtocols: (offered) => (offered.has('wamp.2.json') ? 'wamp.2.json' : false),
  });
  if (!server) await once(sockets, 'listening');
  const { port } = (server ?? sockets).address() as AddressInfo;
  const arrived: Worker[] = [];
  const waiting: ((worker: Worker) => void)[] = [];
  sockets.on('connection', (socket) => {
    const worker = attend(socket, behaviour);
    const next = waiting.shift();
    if (next) next(worker);
    else arrived.push(worker);
  });
  return {
    url: new URL(server ? `wss://127.0.0.1:${port}` : `ws://127.0.0.1:${port}`),
    connection: () => {
      const worker = arrived.shift();
      return worker ? Promise.resolve(worker) : new Promise((resolve) => waiting.push(resolve));
    },
    [Symbol.asyncDispose]: async () => {
      for (const client of sockets.clients) client.terminate();
      await new Promise((resolve) => sockets.close(resolve));
    },
  };
}

function attend(socket: WebSocket, behaviour: Behaviour): Worker {
  const frames: Frame[] = [];
  const looks = new Set<() => void>();
  const closed = once(socket, 'close').then(() => undefined);
  const send = (frame: Frame): void => socket.send(JSON.stringify(frame));
  let invocation = 100;

  const worker: Worker = {
    socket,
    frames,
    closed,
    send,
    frame: (fits, what = fits.toString()) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          const found = frames.find(fits);
          if (found) settle(() => resolve(found));
        };
        const settle = (finish: () => void): void => {
          looks.delete(look);
          finish();
        };
        looks.add(look);
        look();
        void closed.then(() => settle(() => reject(new Error(`the worker left before it sent ${what}`))));
      }),
    calls: (procedure) =>
      frames
        .filter((frame) => frame[0] === 48 && frame[3] === procedure)
        .map((frame) => (frame[5] ?? {}) as Keywords),
    build: async (kwargs) => {
      const registered = await worker.frame(([type]) => type === 64, 'REGISTER');
      const request = (invocation += 1);
      send([68, request, registrationOf(registered), {}, [], kwargs]);
      const answered = await worker.frame(
        ([type, a, b]) => (type === 70 && a === request) || (type === 8 && a === 68 && b === request),
        'the answer of a build',
      );
      return answered[0] === 70
        ? { frame: answered, error: null, kwargs: (answered[4] ?? {}) as Keywords }
        : { frame: answered, error: String(answered[4]), kwargs: (answered[6] ?? {}) as Keywords };
    },
    publish: (topic, kwargs) => {
      const subscribe = frames.find(([type, , , uri]) => type === 32 && uri === topic);
      send([36, Number(subscribe?.[1]) + 2000, 1, {}, [], kwargs]);
    },
  };

  socket.on('error', () => undefined);
  socket.on('message', (data: Buffer) => {
    const frame = JSON.parse(data.toString()) as unknown[];
    frames.push(frame);
    const reply = answer(frame, behaviour, worker);
    if (reply) send(reply);
    for (const look of looks) look();
  });
  return worker;
}

function registrationOf(register: Frame): number {
  return Number(register[1]) + 1000;
}

function answer(frame: Frame, behaviour: Behaviour, worker: Worker): Frame | null {
  const [type, request] = frame;
  switch (type) {
    case 1: {
      const reply = behaviour.onHello?.(String(request), worker);
      if (reply !== undefined) return reply === SILENCE ? null : reply;
      const extensions = request === 'registration' ? undefined : behaviour.extensions;
      const details = {
        roles: { broker: {}, dealer: {} },
        ...(extensions ? { authextra: { extensions } } : {}),
      };
      return [2, 4711, details];
    }
    case 6:
      if (behaviour.ignoresGoodbye) return null;
      return [6, {}, 'wamp.close.goodbye_and_out'];
    case 32:
      return [33, request, Number(request) + 2000];
    case 64:
      return [65, request, registrationOf(frame)];
    case 48: {
      const procedure = String(frame[3]);
      const said = behaviour.onCall?.(procedure, (frame[5] ?? {}) as Keywords, worker);
      if (said === SILENCE) return null;
      if (said instanceof Refusal) return [8, 48, request, {}, said.uri];
      return [50, request, {}, [said === undefined ? usual[procedure] : said]];
    }
    default:
      return null;
  }
}
