/** A WAMP v2 router for Node, to be embedded. See docs/router.md. */
export { errorUris, WampError } from './errors.ts';
export { createRouter } from './router.ts';
export type { RealmDefinition, Router, RouterOptions } from './router.ts';
export type {
  Acceptance,
  Action,
  Authentication,
  CallOptions,
  CallResult,
  Challenge,
  Drop,
  Event,
  EventHandler,
  Hello,
  Invocation,
  LocalSession,
  Logger,
  Payload,
  ProcedureHandler,
  Realm,
  RealmPolicy,
  Refusal,
  Session,
  TransportInfo,
} from './policy.ts';
export type { MatchPolicy } from './uris.ts';
export { askForTicket } from './tickets.ts';
export { defaultLimits } from './limits.ts';
export type { Limits } from './limits.ts';
export { attachWebSockets } from './websocket.ts';
export type { WebSocketOptions, WebSocketTransport } from './websocket.ts';
