import { errorUris, ProtocolViolation, WampError } from './errors.ts';
import { readHello } from './hello.ts';
import { Code, parseMessage } from './messages.ts';
import type { AuthenticateMessage, ClientMessage, HelloMessage } from './messages.ts';
import type {
  Acceptance,
  Authentication,
  Challenge,
  Hello,
  Refusal,
  Session,
  TransportInfo,
} from './policy.ts';
import type { OpenRealm, RealmSurroundings } from './realm.ts';
import { JoinedSession } from './session.ts';
import type { Transport } from './session.ts';
import { isUri } from './uris.ts';

/** What the router does for its connections. */
export interface Host<Data> extends RealmSurroundings {
  /** The realm of a name, opened when it must be; null when there is none. */
  findRealm(name: string, from: TransportInfo): OpenRealm<Data> | null | Promise<OpenRealm<Data> | null>;
  /** Why a session may not join now, or null. */
  refuseJoin(realm: OpenRealm<Data>): string | null;
  sessionOpened(): void;
  sessionClosed(): void;
}

/** What the router can do, and announces (WAMP, "Feature Announcement"). */
const roles = {
  broker: {
    features: {
      publisher_identification: true,
      publisher_exclusion: true,
      subscriber_blackwhite_listing: true,
      pattern_based_subscription: true,
    },
  },
  dealer: {
    features: {
      caller_identification: true,
      progressive_call_results: true,
      call_canceling: true,
      call_timeout: true,
      pattern_based_registration: true,
      shared_registration: true,
    },
  },
} as const;

type State<Data> =
  | { readonly name: 'idle' | 'ended' }
  /** `realm` is null until it was found. */
  | { readonly name: 'opening'; readonly realm: OpenRealm<Data> | null }
  | {
      readonly name: 'challenging';
      readonly hello: Hello;
      readonly realm: OpenRealm<Data>;
      readonly challenge: Challenge;
    }
  | { readonly name: 'open'; readonly realm: OpenRealm<Data>; readonly session: JoinedSession<Data> }
  /** `last`: the connection is closed with the session. */
  | { readonly name: 'closing'; readonly last: boolean };

/**
 * One peer's sessions, one after the other on one transport (WAMP, "Sessions").
 *
 *              HELLO                      accepted: WELCOME
 *   ┌─▶ idle ─────────▶ opening ─────────────────────────────▶ open ──────┐
 *   │                    │   ▲                                  │         │
 *   │     must answer:   ▼   │ AUTHENTICATE                     │         │ the owner ends it:
 *   │       CHALLENGE  challenging                              │         │ GOODBYE
 *   │                                                           │         ▼
 *   ├─── the peer's GOODBYE, answered with GOODBYE ─────────────┘      closing
 *   │                                                                     │
 *   └─── the peer's GOODBYE; anything else is ignored ────────────────────┘
 *
 *   Out of every state: a violation, a refusal, or too long a stay in any but open: ABORT and close ──▶ ended
 *                       the peer's ABORT: close ──▶ ended         the transport has gone ──▶ ended
 */
export class Connection<Data> {
  readonly #host: Host<Data>;
  readonly #transport: Transport;
  #state: State<Data> = { name: 'idle' };
  #timer: NodeJS.Timeout | null = null;

  constructor(host: Host<Data>, transport: Transport) {
    this.#host = host;
    this.#transport = transport;
    this.#enter({ name: 'idle' });
  }

  /** The session that is open now, or null. */
  get session(): Session<Data> | null {
    return this.#state.name === 'open' ? this.#state.session : null;
  }

  /** Takes a message. Never throws. */
  receive(text: string): void {
    if (this.#state.name === 'ended') return;
    const { limits } = this.#host;
    const { openingSize } = limits;
    if (text.length > openingSize && this.#state.name !== 'open') {
      this.violation(`before a session is open, a message may be ${openingSize} characters long`);
      return;
    }
    try {
      const message = parseMessage(text, limits);
      if (this.#state.name === 'open' && message[0] > Code.GOODBYE) this.#state.session.handle(message);
      else this.#control(message);
    } catch (error) {
      if (error instanceof ProtocolViolation) {
        this.violation(error.message);
        return;
      }
      this.#host.logger.warn({ err: error }, 'a message could not be handled');
      this.#abort(errorUris.runtimeError, 'internal error');
    }
  }

  /** Ends the session because the peer broke the protocol. */
  violation(text: string): void {
    this.#host.dropped('violation');
    this.#host.logger.debug({ address: this.#transport.info.address, violation: text }, 'protocol violation');
    this.#abort(errorUris.protocolViolation, text);
  }

  /** The transport has gone. */
  gone(): void {
    this.#enter({ name: 'ended' });
  }

  /** Ends the session in order; `last` closes the connection with it. A connection without a session is closed. */
  goodbye(uri: string, message: string | undefined, last: boolean): void {
    if (this.#state.name === 'open') {
      this.#send([Code.GOODBYE, message === undefined ? {} : { message }, uri]);
      this.#enter({ name: 'closing', last });
    } else if (this.#state.name === 'closing') {
      this.#state = { name: 'closing', last: last || this.#state.last };
    } else {
      this.#abort(uri, message ?? 'the session was closed while it opened');
    }
  }

  abortSession(session: JoinedSession<Data>, uri: string, message: string): void {
    if (this.session === session) this.#abort(uri, message);
  }

  closeSession(session: JoinedSession<Data>, uri: string, message: string | undefined): void {
    if (this.session === session) this.goodbye(uri, message, false);
  }

  /** The one door: leaves a state, and enters another. */
  #enter(next: State<Data>): void {
    const last = this.#state;
    if ('realm' in next) next.realm?.hold();
    this.#state = next;
    if (last.name === 'open') {
      last.realm.leave(last.session);
      this.#host.sessionClosed();
    }
    if ('realm' in last) last.realm?.release();
    this.#setTimer();
  }

  /** One timer watches all the way to WELCOME, another one over the router's GOODBYE. An open session has none. */
  #setTimer(): void {
    const { name } = this.#state;
    if (this.#timer && (name === 'opening' || name === 'challenging')) return;
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    const { helloTimeout, closeTimeout } = this.#host.limits;
    if (name === 'closing') {
      this.#timer = setTimeout(() => this.#end(), closeTimeout);
    } else if (name === 'idle') {
      const text = `no session was opened within ${helloTimeout} ms`;
      this.#timer = setTimeout(() => this.#abort(errorUris.timeout, text), helloTimeout);
    }
  }

  /** A message that is not for an open session, or that ends it. */
  #control(message: ClientMessage): void {
    const state = this.#state;
    if (message[0] === Code.ABORT) {
      this.#end();
      return;
    }
    if (state.name === 'closing') {
      if (message[0] !== Code.GOODBYE) return;
      if (state.last) this.#end();
      else this.#enter({ name: 'idle' });
      return;
    }
    if (message[0] === Code.HELLO && state.name === 'idle') {
      this.#hello(message);
      return;
    }
    if (message[0] === Code.AUTHENTICATE && state.name === 'challenging') {
      this.#authenticate(message, state);
      return;
    }
    if (message[0] === Code.GOODBYE && state.name === 'open') {
      this.#enter({ name: 'idle' });
      this.#send([Code.GOODBYE, {}, errorUris.goodbyeAndOut]);
      return;
    }
    throw new ProtocolViolation(
      state.name === 'open'
        ? 'the session is open already'
        : 'no session is open: the first message must be HELLO, and its answer must be waited for',
    );
  }

  #hello(message: HelloMessage): void {
    const hello = readHello(message, this.#transport.info);
    if (!isUri(hello.realm, this.#host.limits.uriLength)) {
      this.#refuse(errorUris.invalidUri, "the realm's name is not a URI");
      return;
    }
    const finding: State<Data> = { name: 'opening', realm: null };
    this.#enter(finding);
    this.#step(
      finding,
      () => this.#host.findRealm(hello.realm, hello.transport),
      (realm) => {
        if (!realm) {
          this.#refuse(errorUris.noSuchRealm, `there is no realm ${hello.realm}`);
          return;
        }
        const opening: State<Data> = { name: 'opening', realm };
        this.#enter(opening);
        const authenticate = () => realm.policy.authenticate?.(hello, realm) ?? { type: 'accept' as const };
        this.#step(opening, authenticate, (verdict) => this.#judge(hello, realm, verdict));
      },
    );
  }

  #authenticate(
    message: AuthenticateMessage,
    { hello, realm, challenge }: Extract<State<Data>, { name: 'challenging' }>,
  ): void {
    const opening: State<Data> = { name: 'opening', realm };
    this.#enter(opening);
    this.#step(
      opening,
      () => challenge.verify(message[1], message[2]),
      (verdict) => this.#judge(hello, realm, verdict),
    );
  }

  /** Asks for something that may take time, and goes on with it, unless the connection has gone on meanwhile. */
  #step<Value>(opening: State<Data>, ask: () => Value | Promise<Value>, next: (value: Value) => void): void {
    const undecided = (error: unknown) => {
      if (error instanceof WampError) {
        const [text] = error.args;
        if (this.#state === opening) this.#refuse(error.uri, typeof text === 'string' ? text : error.uri);
        return;
      }
      this.#host.logger.warn({ err: error }, 'whether a session may be opened could not be decided');
      if (this.#state === opening) this.#refuse(errorUris.authorizationFailed, 'try again later');
    };
    let value;
    try {
      value = ask();
    } catch (error) {
      undecided(error);
      return;
    }
    if (!(value instanceof Promise)) {
      next(value);
      return;
    }
    value
      .then((result) => {
        if (this.#state === opening) next(result);
      })
      .catch(undecided);
  }

  #judge(hello: Hello, realm: OpenRealm<Data>, verdict: Authentication): void {
    switch (verdict.type) {
      case 'refuse': {
        this.#refuse(verdict.uri, verdict.message);
        return;
      }
      case 'challenge':
        this.#enter({ name: 'challenging', hello, realm, challenge: verdict });
        this.#send([Code.CHALLENGE, verdict.method, verdict.extra ?? {}]);
        return;
      case 'accept': {
        this.#welcome(hello, realm, verdict);
        return;
      }
    }
  }

  #welcome(hello: Hello, realm: OpenRealm<Data>, { type: _type, ...identity }: Acceptance): void {
    if (realm.isClosed) {
      this.#refuse(errorUris.noSuchRealm, `there is no realm ${realm.name} any more`);
      return;
    }
    const full = this.#host.refuseJoin(realm);
    if (full !== null) {
      this.#refuse(errorUris.limitExceeded, full);
      return;
    }
    const session = new JoinedSession<Data>(
      this.#host.newSessionId(),
      { authid: identity.authid ?? null, authrole: identity.authrole ?? null },
      realm,
      hello,
      this.#transport,
      this,
    );
    this.#enter({ name: 'open', realm, session });
    this.#host.sessionOpened();
    this.#send([Code.WELCOME, session.id, { roles, ...identity }]);
    realm.join(session);
  }

  #refuse(uri: Refusal['uri'], message: string): void {
    this.#host.dropped('hello');
    this.#abort(uri, message);
  }

  #abort(uri: string, message: string): void {
    if (this.#state.name === 'ended') return;
    this.#send([Code.ABORT, { message }, uri]);
    this.#end();
  }

  #end(): void {
    this.#enter({ name: 'ended' });
    this.#transport.close();
  }

  #send(message: readonly unknown[]): void {
    this.#transport.send(JSON.stringify(message));
  }
}
