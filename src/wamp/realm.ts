import { Broker } from './broker.ts';
import { Dealer } from './dealer.ts';
import { errorUris } from './errors.ts';
import type { Limits } from './limits.ts';
import { LocalSessionMember } from './local-session.ts';
import type { Drop, Logger, Realm, RealmPolicy } from './policy.ts';
import type { JoinedSession } from './session.ts';
import { SparseMap } from './sparse-map.ts';

/** What the realms of a router share. */
export interface RealmSurroundings {
  readonly limits: Limits;
  readonly logger: Logger;
  readonly random: () => number;
  readonly dropped: (drop: Drop) => void;
  /** An id of the router scope. */
  readonly nextId: () => number;
  /** An id for a session. */
  readonly newSessionId: () => number;
}

/** A realm in memory: its sessions, its broker and its dealer. */
export class OpenRealm<Data> implements Realm<Data> {
  readonly name: string;
  readonly policy: RealmPolicy<Data>;
  readonly data: Data;
  readonly local: LocalSessionMember<Data>;
  readonly broker: Broker;
  readonly dealer: Dealer;
  readonly sessions = new SparseMap<number, JoinedSession<Data>>();
  readonly #surroundings: RealmSurroundings;
  readonly #forget: (realm: OpenRealm<Data>) => void;
  #holds = 0;
  #isClosed = false;

  constructor(
    name: string,
    policy: RealmPolicy<Data>,
    data: Data,
    surroundings: RealmSurroundings,
    forget: (realm: OpenRealm<Data>) => void,
  ) {
    this.name = name;
    this.policy = policy;
    this.data = data;
    this.#surroundings = surroundings;
    this.#forget = forget;
    const { random, nextId, dropped, newSessionId } = surroundings;
    this.local = new LocalSessionMember(newSessionId(), this);
    this.broker = new Broker(this.local, random, nextId);
    this.dealer = new Dealer(this.local, random, nextId, dropped);
  }

  /** Whether it was closed: nobody may join it any more. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  get limits(): Limits {
    return this.#surroundings.limits;
  }

  get uriLength(): number {
    return this.limits.uriLength;
  }

  get logger(): Logger {
    return this.#surroundings.logger;
  }

  dropped(drop: Drop): void {
    this.#surroundings.dropped(drop);
  }

  /** Keeps the realm in memory, for a session that is open or about to be. */
  hold(): void {
    this.#holds++;
  }

  /** Takes a {@link hold} back. */
  release(): void {
    this.#holds--;
    if (this.#holds === 0 && this.policy.forgetWhenEmpty?.(this) === true) this.#forget(this);
  }

  /** Takes a session in, after its WELCOME was sent. */
  join(session: JoinedSession<Data>): void {
    this.sessions.set(session.id, session);
    this.#tell('joined', session);
  }

  /** Lets go of a session that is over. */
  leave(session: JoinedSession<Data>): void {
    if (!this.sessions.delete(session.id)) return;
    this.dealer.leave(session);
    this.broker.leave(session);
    this.#tell('left', session);
  }

  close(uri: string = errorUris.closeRealm, message?: string): void {
    this.#isClosed = true;
    this.#forget(this);
    for (const session of this.sessions.values()) session.close(uri, message);
  }

  #tell(what: 'joined' | 'left', session: JoinedSession<Data>): void {
    try {
      this.policy[what]?.(session);
    } catch (error) {
      this.logger.warn({ session: session.id, err: error }, `the hook "${what}" failed`);
    }
  }
}
