import type { Broker } from './broker.ts';
import type { Dealer } from './dealer.ts';
import { errorUris, ProtocolViolation } from './errors.ts';
import type { Limits } from './limits.ts';
import { Member } from './member.ts';
import type { Identity, SharedMessage } from './member.ts';
import { isDict } from './json.ts';
import type { Dict } from './json.ts';
import { Code } from './messages.ts';
import type { ClientMessage, RouterMessage } from './messages.ts';
import { choiceOption } from './options.ts';
import type { Action, Drop, Hello, Logger, Realm, RealmPolicy, Session, TransportInfo } from './policy.ts';
import { isPattern, isReserved, isUri, matchPolicies } from './uris.ts';
import type { MatchPolicy } from './uris.ts';

/** How text goes to a peer. None of it calls back before it returns. */
export interface Transport {
  readonly info: TransportInfo;
  readonly lastSeen: number;
  readonly bytesReceived: number;
  send(text: string): void;
  /** Closes the connection, after what was sent. */
  close(): void;
}

/** The realm that a session has joined, as it needs it. */
interface Home<Data> extends Realm<Data> {
  readonly policy: RealmPolicy<Data>;
  readonly dealer: Dealer;
  readonly broker: Broker;
  readonly limits: Limits;
  readonly logger: Logger;
  dropped(drop: Drop): void;
}

/** The connection that a session lives on, which ends it; but not the next session, when this one is over. */
interface SessionHost<Data> {
  abortSession(session: JoinedSession<Data>, uri: string, message: string): void;
  closeSession(session: JoinedSession<Data>, uri: string, message: string | undefined): void;
}

/** A session of a peer, from WELCOME until it ends; which messages it may get is its connection's to know. */
export class JoinedSession<Data> extends Member implements Session<Data> {
  readonly realm: Home<Data>;
  readonly authextra: Readonly<Dict>;
  override readonly interruptible: boolean;
  data: unknown = undefined;
  readonly #transport: Transport;
  readonly #host: SessionHost<Data>;

  constructor(
    id: number,
    identity: Identity,
    realm: Home<Data>,
    { details, authextra }: Hello,
    transport: Transport,
    host: SessionHost<Data>,
  ) {
    super(id, identity);
    this.realm = realm;
    this.authextra = authextra;
    this.interruptible = announces(details, 'callee', 'call_canceling');
    this.#transport = transport;
    this.#host = host;
  }

  get authid(): string | null {
    return this.identity.authid;
  }

  get authrole(): string | null {
    return this.identity.authrole;
  }

  get transport(): TransportInfo {
    return this.#transport.info;
  }

  get lastSeen(): number {
    return this.#transport.lastSeen;
  }

  get bytesReceived(): number {
    return this.#transport.bytesReceived;
  }

  abort(uri: string, message: string): void {
    this.#host.abortSession(this, uri, message);
  }

  close(uri: string = errorUris.closeRealm, message?: string): void {
    this.#host.closeSession(this, uri, message);
  }

  override deliver(message: RouterMessage): void {
    this.#transport.send(JSON.stringify(message));
  }

  override deliverShared(message: SharedMessage): void {
    this.#transport.send(message.text);
  }

  /** Takes a message of an open session. @throws ProtocolViolation */
  handle(message: ClientMessage): void {
    const { dealer, broker, limits } = this.realm;
    switch (message[0]) {
      case Code.CALL:
        if (!this.#may('call', Code.CALL, message[1], message[3], 'exact')) return;
        if (!this.#hasRoom(this.calls, limits.pendingCalls, Code.CALL, message[1])) return;
        dealer.handleCall(this, message);
        return;
      case Code.YIELD: {
        dealer.handleYield(this, message);
        return;
      }
      case Code.PUBLISH: {
        const answers = message[2]['acknowledge'] === true;
        if (!this.#may('publish', Code.PUBLISH, message[1], message[3], 'exact', answers)) return;
        broker.publish(this, message);
        return;
      }
      case Code.ERROR: {
        // Nobody answers an answer: the caller learns that the callee named no error.
        const uri = isUri(message[4], limits.uriLength) ? message[4] : errorUris.invalidUri;
        dealer.handleError(this, message, uri);
        return;
      }
      case Code.SUBSCRIBE: {
        const match = choiceOption(message[2], 'match', matchPolicies);
        if (!this.#may('subscribe', Code.SUBSCRIBE, message[1], message[3], match)) return;
        if (!this.#hasRoom(this.subscriptions, limits.subscriptions, Code.SUBSCRIBE, message[1])) return;
        broker.handleSubscribe(this, message, match);
        return;
      }
      case Code.REGISTER: {
        const match = choiceOption(message[2], 'match', matchPolicies);
        if (!this.#may('register', Code.REGISTER, message[1], message[3], match)) return;
        if (!this.#hasRoom(this.registrations, limits.registrations, Code.REGISTER, message[1])) return;
        dealer.handleRegister(this, message, match);
        return;
      }
      case Code.UNSUBSCRIBE: {
        broker.handleUnsubscribe(this, message);
        return;
      }
      case Code.UNREGISTER: {
        dealer.handleUnregister(this, message);
        return;
      }
      case Code.CANCEL: {
        dealer.handleCancel(this, message);
        return;
      }
      case Code.HELLO:
      case Code.ABORT:
      case Code.AUTHENTICATE:
      case Code.GOODBYE:
        throw new ProtocolViolation('the session is open already');
    }
  }

  /** Whether the realm allows a request; it is answered when not, unless the requester does not listen for that. */
  #may(
    action: Action,
    code: number,
    request: number,
    uri: string,
    match: MatchPolicy,
    answers = true,
  ): boolean {
    const refusal = this.#refusal(action, uri, match);
    if (refusal === null) return true;
    this.realm.dropped('request');
    if (answers) this.deliver([Code.ERROR, code, request, {}, refusal]);
    return false;
  }

  #refusal(action: Action, uri: string, match: MatchPolicy): string | null {
    const { policy, limits, logger } = this.realm;
    if (!isPattern(uri, match, limits.uriLength)) return errorUris.invalidUri;
    if ((action === 'register' || action === 'publish') && isReserved(uri)) return errorUris.invalidUri;
    if (!policy.authorize) return null;
    try {
      const verdict = policy.authorize(this, action, uri, match);
      if (verdict === true) return null;
      return verdict === false ? errorUris.notAuthorized : verdict;
    } catch (error) {
      logger.warn({ session: this.id, action, uri, err: error }, 'the policy could not decide');
      return errorUris.authorizationFailed;
    }
  }

  #hasRoom(open: { readonly size: number }, limit: number, code: number, request: number): boolean {
    if (open.size < limit) return true;
    this.realm.dropped('request');
    const text = `a session may have ${limit} of these open`;
    this.deliver([Code.ERROR, code, request, {}, errorUris.limitExceeded, [text]]);
    return false;
  }
}

/** Whether HELLO.Details announce a feature of a role. */
function announces(details: Readonly<Dict>, role: string, feature: string): boolean {
  const roles = details['roles'];
  const announced = isDict(roles) ? roles[role] : undefined;
  const features = isDict(announced) ? announced['features'] : undefined;
  return isDict(features) && features[feature] === true;
}
