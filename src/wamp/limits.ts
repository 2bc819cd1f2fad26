/** Every bound of the router, each with what happens at it. Sizes are in bytes, times in milliseconds. */
export interface Limits {
  /** One message. A longer one closes its connection with WebSocket status 1009; it is never kept. */
  readonly messageSize: number;
  /**
   * A message before a session is open; HELLO is kept as long as its session. A longer one is a protocol violation.
   * In characters.
   */
  readonly openingSize: number;
  /** Lists and dictionaries within each other in one message. A deeper one is a protocol violation. */
  readonly nesting: number;
  /**
   * Members of lists and dictionaries in one message, keys counted too. A message with more is a protocol violation: it would take
   * longer to read than others may wait.
   */
  readonly members: number;
  /** Characters of a URI. A longer one is refused as `wamp.error.invalid_uri`. */
  readonly uriLength: number;
  /** WebSocket connections. A further one is refused with HTTP status 503. */
  readonly connections: number;
  /** Sessions of the router. A further HELLO is answered with ABORT `wamp.error.limit_exceeded`. */
  readonly sessions: number;
  /** Sessions of a realm, the local one not counted. A further HELLO is answered as above. */
  readonly sessionsPerRealm: number;
  /** Calls of a session that wait for their answer. A further CALL is answered with `wamp.error.limit_exceeded`. */
  readonly pendingCalls: number;
  /** Procedures that a session offers. A further REGISTER is answered with `wamp.error.limit_exceeded`. */
  readonly registrations: number;
  /** Topics that a session listens to. A further SUBSCRIBE is answered with `wamp.error.limit_exceeded`. */
  readonly subscriptions: number;
  /**
   * What waits to be sent to one peer. A peer that reads too slowly to stay below is cut off without a word, since no word
   * would reach it; nobody else waits for it.
   */
  readonly backlog: number;
  /** From the connection, or from the end of a session, to WELCOME. A later peer gets ABORT `wamp.error.timeout`. */
  readonly helloTimeout: number;
  /** From the router's GOODBYE, or its closing frame, to the peer's. A later peer is cut off. */
  readonly closeTimeout: number;
}

export const defaultLimits: Limits = {
  messageSize: 16 * 1024 * 1024,
  openingSize: 64 * 1024,
  nesting: 100,
  members: 250_000,
  uriLength: 1024,
  connections: 50_000,
  sessions: 50_000,
  sessionsPerRealm: 10_000,
  pendingCalls: 10_000,
  registrations: 10_000,
  subscriptions: 10_000,
  backlog: 32 * 1024 * 1024,
  helloTimeout: 10_000,
  closeTimeout: 2_000,
};
