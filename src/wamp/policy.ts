import type { Dict } from './json.ts';
import type { SparseMap } from './sparse-map.ts';
import type { MatchPolicy } from './uris.ts';

/** What the router's owner decides and offers, and what it sees of realms and sessions. */

/** Where a session comes from. */
export interface TransportInfo {
  /** The peer's address and port. */
  readonly address: string;
  /** The path that the WebSocket was opened at. */
  readonly path: string;
}

/** A session that has joined a realm over a connection. */
export interface Session<Data = unknown> {
  readonly id: number;
  readonly realm: Realm<Data>;
  readonly authid: string | null;
  readonly authrole: string | null;
  /** HELLO.Details.authextra, as it came; empty when it did not. */
  readonly authextra: Readonly<Dict>;
  readonly transport: TransportInfo;
  /** When the last frame of any kind came, in milliseconds since 1970. */
  readonly lastSeen: number;
  /** Bytes that its connection has received. */
  readonly bytesReceived: number;
  /** The owner's, untouched by the router. */
  data: unknown;
  /** Throws the session out: ABORT, and the connection is closed. */
  abort(uri: string, message: string): void;
  /** Ends the session in order: GOODBYE. The peer may open another one on the same connection. */
  close(uri?: string, message?: string): void;
}

/** A space of sessions, procedures and topics, apart from all others. */
export interface Realm<Data = unknown> {
  readonly name: string;
  /** The owner's, given when the realm was opened. */
  readonly data: Data;
  /** The owner's own session in this realm. */
  readonly local: LocalSession<Data>;
  /** By id. */
  readonly sessions: Pick<SparseMap<number, Session<Data>>, 'size' | 'get' | 'values'>;
  /** Ends all its sessions with GOODBYE (default `wamp.close.close_realm`) and forgets it. */
  close(uri?: string, message?: string): void;
}

export interface Payload {
  readonly args?: readonly unknown[];
  readonly kwargs?: Readonly<Dict>;
}

export interface CallOptions {
  /** Cancels the call; it then rejects with `wamp.error.canceled`. */
  readonly signal?: AbortSignal;
  /** Milliseconds, after which the call rejects with `wamp.error.timeout`; between two results, where they come one by one. */
  readonly timeout?: number;
  readonly progress?: (args: readonly unknown[], kwargs: Readonly<Dict>) => void;
}

export interface CallResult {
  readonly args: readonly unknown[];
  readonly kwargs: Readonly<Dict>;
}

/** What the owner does within a realm. What it hands over must be fit for JSON, and is not copied. */
export interface LocalSession<Data = unknown> {
  readonly id: number;
  /**
   * Offers a procedure; the answer takes it back.
   *
   * @throws WampError `wamp.error.procedure_already_exists` or `wamp.error.invalid_uri`
   */
  register(uri: string, handler: ProcedureHandler<Data>): () => void;
  /**
   * Listens to a topic; the answer ends that.
   *
   * @throws WampError `wamp.error.invalid_uri`
   */
  subscribe(uri: string, handler: EventHandler<Data>): () => void;
  /** Calls a procedure. Rejects with {@link WampError}: the callee's, or `wamp.error.canceled` when the callee has gone. */
  call(
    uri: string,
    args?: readonly unknown[],
    kwargs?: Readonly<Dict>,
    options?: CallOptions,
  ): Promise<CallResult>;
  /** Publishes to everybody who listens, or to those of `eligible` (ids of sessions) who do. */
  publish(
    uri: string,
    args?: readonly unknown[],
    kwargs?: Readonly<Dict>,
    options?: { readonly eligible?: readonly number[] },
  ): void;
}

/** What a handler of a procedure knows of the call that it answers. */
export interface Invocation<Data = unknown> {
  readonly realm: Realm<Data>;
  readonly procedure: string;
  /** Who calls; null when the realm's local session does. */
  readonly caller: Session<Data> | null;
  /** Aborted when the call was cancelled, has timed out, or its caller has gone. */
  readonly signal: AbortSignal;
  /** Whether the caller wants results one by one. */
  readonly receivesProgress: boolean;
  /** Sends a result before the last; dropped when the caller does not want any, or the call is over. */
  progress(args?: readonly unknown[], kwargs?: Readonly<Dict>): void;
}

// eslint-disable-next-line @typescript-eslint/no-invalid-void-type -- a handler with no answer returns nothing at all
type Answer = Payload | void;

/**
 * Answers a call with what it returns, or with the {@link WampError} that it throws. Any other error is logged, and the
 * caller only learns `wamp.error.runtime_error`.
 */
export type ProcedureHandler<Data = unknown> = (
  args: readonly unknown[],
  kwargs: Readonly<Dict>,
  invocation: Invocation<Data>,
) => Answer | Promise<Answer>;

export interface Event<Data = unknown> {
  readonly realm: Realm<Data>;
  readonly topic: string;
  readonly publication: number;
  /** Who published; null when the realm's local session did. */
  readonly publisher: Session<Data> | null;
}

export type EventHandler<Data = unknown> = (
  args: readonly unknown[],
  kwargs: Readonly<Dict>,
  event: Event<Data>,
) => void;

/** HELLO, as a policy judges it. */
export interface Hello {
  readonly realm: string;
  readonly authid: string | null;
  readonly authmethods: readonly string[];
  readonly authextra: Readonly<Dict>;
  readonly agent: string | null;
  readonly details: Readonly<Dict>;
  readonly transport: TransportInfo;
}

/** WELCOME. What is absent is not sent. */
export interface Acceptance {
  readonly type: 'accept';
  readonly authid?: string;
  readonly authrole?: string;
  readonly authmethod?: string;
  readonly authprovider?: string;
  readonly authextra?: Readonly<Dict>;
}

/** ABORT. */
export interface Refusal {
  readonly type: 'refuse';
  readonly uri: string;
  readonly message: string;
}

/** CHALLENGE, and what AUTHENTICATE is then answered with. */
export interface Challenge {
  readonly type: 'challenge';
  /** `ticket`, or any other method that one signature answers. */
  readonly method: string;
  readonly extra?: Readonly<Dict>;
  verify(signature: string, extra: Readonly<Dict>): Acceptance | Refusal | Promise<Acceptance | Refusal>;
}

export type Authentication = Acceptance | Refusal | Challenge;
export type Action = 'call' | 'register' | 'publish' | 'subscribe';

/**
 * What holds in a realm. One policy may serve any number of realms: each hook is told which one it is asked for. Where a
 * hook is absent, everybody is let in as nobody in particular, and may do everything.
 */
export interface RealmPolicy<Data = unknown> {
  /** Procedures that the local session offers, by URI; nobody else can register them. */
  readonly procedures?: ReadonlyMap<string, ProcedureHandler<Data>>;
  /** Topics that the local session listens to, by URI. */
  readonly topics?: ReadonlyMap<string, EventHandler<Data>>;
  authenticate?(hello: Hello, realm: Realm<Data>): Authentication | Promise<Authentication>;
  /**
   * `true`, or why not: `false` for `wamp.error.not_authorized`, or another error's URI. To subscribe or register, `uri` may be
   * a pattern, as `match` says.
   */
  authorize?(session: Session<Data>, action: Action, uri: string, match: MatchPolicy): boolean | string;
  /** After WELCOME was sent, and before anything of the session is heard. */
  joined?(session: Session<Data>): void;
  /** When the session is over, however it ended. Its calls, registrations and subscriptions are gone. */
  left?(session: Session<Data>): void;
  /** Asked when the last session has left: whether to forget the realm. No by default. */
  forgetWhenEmpty?(realm: Realm<Data>): boolean;
}

/**
 * What the router tells of itself. The loggers of pino fit: errors are in `err`. No realm is named, since its name may be all that
 * one needs to join it.
 */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

/** What was refused or dropped, for whoever counts it. */
export type Drop =
  /** A protocol violation that ended a session. */
  | 'violation'
  /** A HELLO that was refused. */
  | 'hello'
  /** An upgrade to WebSocket that was refused. */
  | 'connection'
  /** A request that met a limit or was not authorized. */
  | 'request'
  /** An answer that nobody waits for. */
  | 'answer'
  /** A peer that was cut off because it does not read. */
  | 'backlog';
