import { Connection } from './connection.ts';
import type { Host } from './connection.ts';
import { globalId } from './ids.ts';
import { defaultLimits } from './limits.ts';
import type { Limits } from './limits.ts';
import type { Drop, Logger, Realm, RealmPolicy, TransportInfo } from './policy.ts';
import { OpenRealm } from './realm.ts';
import type { Transport } from './session.ts';

/** What holds in a realm, and what its owner keeps with it. */
export interface RealmDefinition<Data> {
  readonly policy: RealmPolicy<Data>;
  readonly data: Data;
}

export interface RouterOptions<Data> {
  /** What differs from {@link defaultLimits}. */
  readonly limits?: Partial<Limits>;
  /**
   * Asked at HELLO for a realm that is not in memory, with who asks first for it; null when it does not exist. Joining never makes one.
   * What it rejects with as a {@link WampError} is the refusal's URI and words; after any other error a peer may try again.
   */
  readonly openRealm?: (name: string, from: TransportInfo) => Promise<RealmDefinition<Data> | null>;
  readonly logger?: Logger;
  /** Told of everything that is refused or dropped. */
  readonly onDrop?: (drop: Drop) => void;
  /** Uniform over [0, 1); for ids. */
  readonly random?: () => number;
}

/** A WAMP v2 router: realms, and the connections that join them. */
export interface Router<Data = unknown> {
  readonly limits: Limits;
  readonly logger: Logger;
  /** Those in memory. */
  readonly realms: ReadonlyMap<string, Realm<Data>>;
  /** Sessions that are open now. */
  readonly sessionCount: number;
  /** Adds a realm, or answers with the one of that name that there is. */
  addRealm(name: string, policy: RealmPolicy<Data>, data: Data): Realm<Data>;
  /** Puts a transport's peer under the router. */
  connect(transport: Transport): Connection<Data>;
  /** Counts what a transport has refused or dropped. */
  dropped(drop: Drop): void;
}

const silent: Logger = { debug: () => undefined, info: () => undefined, warn: () => undefined };

/** Makes a router without realms and transports. */
export function createRouter<Data = undefined>(options: RouterOptions<Data> = {}): Router<Data> {
  const limits = { ...defaultLimits, ...options.limits };
  const logger = options.logger ?? silent;
  const random = options.random ?? Math.random;
  const dropped = options.onDrop ?? (() => undefined);
  const realms = new Map<string, OpenRealm<Data>>();
  const opening = new Map<string, Promise<OpenRealm<Data> | null>>();
  let lastId = 0;
  let sessionCount = 0;

  const host: Host<Data> = {
    limits,
    logger,
    random,
    dropped,
    nextId: () => ++lastId,
    newSessionId: () => globalId(random),
    findRealm,
    refuseJoin(realm) {
      if (sessionCount >= limits.sessions) return 'the router has no room for another session';
      if (realm.sessions.size >= limits.sessionsPerRealm) return 'the realm has no room for another session';
      return null;
    },
    sessionOpened() {
      sessionCount++;
    },
    sessionClosed() {
      sessionCount--;
    },
  };

  function addRealm(name: string, policy: RealmPolicy<Data>, data: Data): OpenRealm<Data> {
    const present = realms.get(name);
    if (present) return present;
    const realm = new OpenRealm(name, policy, data, host, (closed) => {
      if (realms.get(name) === closed) realms.delete(name);
    });
    realms.set(name, realm);
    return realm;
  }

  function findRealm(
    name: string,
    from: TransportInfo,
  ): OpenRealm<Data> | null | Promise<OpenRealm<Data> | null> {
    const present = realms.get(name);
    if (present || !options.openRealm) return present ?? null;
    // Several may ask for the same realm at once.
    const asked = opening.get(name);
    if (asked) return asked;
    const found = options
      .openRealm(name, from)
      .then((definition) => definition && addRealm(name, definition.policy, definition.data))
      .finally(() => opening.delete(name));
    opening.set(name, found);
    void found.then(forgetUnlessHeld, () => undefined);
    return found;
  }

  /** Who asked for a realm may have gone before it was found. */
  function forgetUnlessHeld(realm: OpenRealm<Data> | null): void {
    realm?.hold();
    // After those who wait for it, whose turn comes before that of a new microtask.
    queueMicrotask(() => realm?.release());
  }

  return {
    limits,
    logger,
    realms,
    get sessionCount() {
      return sessionCount;
    },
    addRealm,
    connect: (transport) => new Connection(host, transport),
    dropped,
  };
}
