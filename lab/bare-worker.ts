import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { WebSocket } from 'ws';
import {
  CONTRACT_VERSION,
  managerProcedures,
  REGISTRATION_REALM,
  topics,
  workerProcedures,
} from '../src/contract/uris.ts';

type Keywords = Record<string, unknown>;

/** A frame of WAMP v2, as it came. */
type Frame = readonly unknown[];

/** What answers GOODBYE. */
const GOODBYE_AND_OUT = 'wamp.close.goodbye_and_out';

/** How a build handed to a bare worker is answered. */
type BareAnswer = { readonly result: Keywords } | { readonly error: string; readonly kwargs?: Keywords };

export interface BareWorkerOptions {
  /** The manager's WAMP URL. */
  readonly url: string;
  /** Answers an invocation of `build`; it may call back, as a build does. */
  readonly onBuild: (kwargs: Keywords, worker: BareWorker) => Promise<BareAnswer>;
  /** Extra details of HELLO in the worker's realm, as `authextra`. */
  readonly hello?: Keywords;
  readonly token?: string;
  readonly version?: string;
  /** Joins this realm in the place of asking for one. */
  readonly realm?: string;
  /** Comes back with a build: offers nothing, and is given nothing. */
  readonly isBack?: boolean;
}

/**
 * A worker that speaks just the contract's words, as the deployed one does: empty role features, one session after the other on
 * one socket, heartbeats every second. What it builds is up to the test.
 */
export interface BareWorker extends AsyncDisposable {
  readonly realm: string;
  /** What WELCOME in the worker's realm said as `authextra`. */
  readonly welcome: Keywords;
  /** Calls a procedure of the manager's and answers with its first positional; rejects with the ERROR's URI. */
  call(procedure: string, kwargs?: Keywords): Promise<unknown>;
  /** Offers a procedure; rejects with the ERROR's URI. */
  register(procedure: string): Promise<void>;
  /** `logmessagesynchronously` with an engine's message. */
  log(phase: string, message: Keywords): Promise<unknown>;
  enterPhase(phase: string, statusData?: Keywords): Promise<unknown>;
  /** Stops the heartbeats, and everything else, without closing the socket. */
  freeze(): void;
  /** Closes the socket without GOODBYE. */
  drop(): void;
  readonly closed: Promise<void>;
}

/** Connects, and resolves when `ready` was answered with `true`; fails with what the manager said else. */
export async function startBareWorker(options: BareWorkerOptions): Promise<BareWorker> {
  const socket = new WebSocket(options.url, ['wamp.2.json'], { perMessageDeflate: false });
  await once(socket, 'open');
  const closed = once(socket, 'close').then(() => undefined);
  const waiting = new Map<unknown, { resolve: (frame: Frame) => void; reject: (error: Error) => void }>();
  let onJoin: { resolve: (frame: Frame) => void; reject: (error: Error) => void } | undefined;

  const send = (frame: Frame): void => {
    if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(frame));
  };
  const request = (make: (id: number) => Frame): Promise<Frame> =>
    new Promise((resolve, reject) => {
      const id = randomInt(2 ** 47);
      waiting.set(id, { resolve, reject });
      send(make(id));
    });
  const hello = (realm: string, details: Keywords): Promise<Frame> =>
    new Promise((resolve, reject) => {
      onJoin = { resolve, reject };
      send([1, realm, { roles: { callee: {}, caller: {}, publisher: {}, subscriber: {} }, ...details }]);
    });
  void closed.then(() => {
    for (const each of [...waiting.values(), onJoin]) each?.reject(new Error('the connection is closed'));
  });

  const ready = Promise.withResolvers<BareWorker>();
  const invoked = async (id: unknown, kwargs: Keywords): Promise<void> => {
    const answer = await options.onBuild(kwargs, await ready.promise);
    if ('result' in answer) send([70, id, {}, [], answer.result]);
    else send([8, 68, id, {}, answer.error, [], answer.kwargs ?? {}]);
  };
  socket.on('message', (data: Buffer) => {
    const frame = JSON.parse(data.toString()) as Frame;
    const [code, first, second] = frame;
    if (code === 2) onJoin?.resolve(frame);
    else if (code === 3) onJoin?.reject(new Error(String(second)));
    else if (code === 50 || code === 65 || code === 33) waiting.get(first)?.resolve(frame);
    else if (code === 8) waiting.get(second)?.reject(new Error(String(frame[4])));
    else if (code === 6 && second !== GOODBYE_AND_OUT) send([6, {}, GOODBYE_AND_OUT]);
    else if (code === 68) void invoked(first, (frame[5] ?? {}) as Keywords);
  });

  const call = async (procedure: string, kwargs?: Keywords): Promise<unknown> => {
    const frame = await request((id) => [48, id, {}, procedure, [], ...(kwargs ? [kwargs] : [])]);
    return (frame[3] as unknown[] | undefined)?.[0];
  };
  const register = async (procedure: string): Promise<void> => {
    await request((id) => [64, id, {}, procedure]);
  };
  const logMessage = (phase: string, content: Keywords): Promise<unknown> =>
    call(managerProcedures.logMessage, { phase, json_data: JSON.stringify(content) });

  let realm = options.realm;
  if (realm === undefined) {
    await hello(REGISTRATION_REALM, {});
    realm = String(await call(managerProcedures.register));
    send([6, {}, 'wamp.error.close_realm']);
  }
  const welcome = await hello(realm, options.hello ? { authextra: options.hello } : {});
  await call(managerProcedures.ping);
  const heartbeat = (): void => send([16, randomInt(2 ** 47), {}, topics.heartbeat]);
  const heart = setInterval(heartbeat, 1000);
  void closed.then(() => clearInterval(heart));
  const worker: BareWorker = {
    realm,
    welcome: ((welcome[2] as Keywords)['authextra'] ?? {}) as Keywords,
    call,
    register,
    log: logMessage,
    enterPhase: (phase, statusData = {}) => logMessage(phase, { status_data: statusData }),
    freeze: () => {
      clearInterval(heart);
      socket.pause();
    },
    drop: () => socket.terminate(),
    closed,
    async [Symbol.asyncDispose]() {
      socket.terminate();
      await closed;
    },
  };
  ready.resolve(worker);
  try {
    if (!options.isBack) await register(workerProcedures.build);
    heartbeat();
    const accepted = await call(managerProcedures.ready, {
      token: options.token ?? '',
      version: options.version ?? CONTRACT_VERSION,
    });
    if (accepted !== true) throw new Error('the manager answered ready with false');
  } catch (error) {
    await worker[Symbol.asyncDispose]();
    throw error;
  }
  return worker;
}
