import { createRouter } from '../../../src/wamp/index.ts';
import type { RealmPolicy, Router, RouterOptions } from '../../../src/wamp/index.ts';

/** A peer of the router without a socket: what it says is handled, and what it hears is there, before a call returns. */
export interface Peer {
  /** Everything heard and not yet taken. */
  readonly heard: unknown[][];
  /** Whether the router has closed the connection. */
  isClosed: boolean;
  say(message: unknown): void;
  sayText(text: string): void;
  /** Takes the oldest message heard; undefined when there is none. */
  take(): unknown[] | undefined;
  /** Says something and takes all that it hears then. */
  ask(message: unknown): unknown[][];
  /** The connection breaks. */
  vanish(): void;
}

export const ROLES = { caller: {}, callee: {}, publisher: {}, subscriber: {} };
export const ALL_ROLES = { roles: ROLES };

/** Roles of a callee that understands INTERRUPT. */
export const INTERRUPTIBLE = { roles: { ...ROLES, callee: { features: { call_canceling: true } } } };

export function connect<Data>(router: Router<Data>): Peer {
  const heard: unknown[][] = [];
  const peer: Peer = {
    heard,
    isClosed: false,
    say: (message) => peer.sayText(JSON.stringify(message)),
    sayText: (text) => {
      if (!peer.isClosed) connection.receive(text);
    },
    take: () => heard.shift(),
    ask(message) {
      peer.say(message);
      return heard.splice(0);
    },
    vanish: () => connection.gone(),
  };
  const connection = router.connect({
    info: { address: '192.0.2.1:1', path: '/' },
    lastSeen: 0,
    bytesReceived: 0,
    send: (text) => {
      // As a real transport: after closing, nothing is sent.
      if (!peer.isClosed) heard.push(JSON.parse(text) as unknown[]);
    },
    close: () => {
      peer.isClosed = true;
      connection.gone();
    },
  });
  return peer;
}

/** A router with the realms `realm1` and `realm2`, under one policy. */
export function routerWith(
  policy: RealmPolicy<undefined> = {},
  options: RouterOptions<undefined> = {},
): Router<undefined> {
  const router = createRouter(options);
  for (const name of ['realm1', 'realm2']) router.addRealm(name, policy, undefined);
  return router;
}

/** A peer with an open session, and the session's id. */
export function join(
  router: Router<undefined>,
  realm = 'realm1',
  details: object = ALL_ROLES,
): Peer & { readonly id: number } {
  const peer = connect(router);
  const [welcome] = peer.ask([1, realm, details]);
  if (welcome?.[0] !== 2) throw new Error(`no WELCOME but ${JSON.stringify(welcome)}`);
  return Object.assign(peer, { id: welcome[1] as number });
}
