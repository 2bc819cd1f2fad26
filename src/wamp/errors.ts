/** The URIs that the router itself answers with (WAMP, "Basic Profile URIs" and "Advanced Profile"). */
export const errorUris = {
  invalidUri: 'wamp.error.invalid_uri',
  noSuchProcedure: 'wamp.error.no_such_procedure',
  procedureAlreadyExists: 'wamp.error.procedure_already_exists',
  noSuchRegistration: 'wamp.error.no_such_registration',
  noSuchSubscription: 'wamp.error.no_such_subscription',
  notAuthorized: 'wamp.error.not_authorized',
  authorizationFailed: 'wamp.error.authorization_failed',
  authenticationDenied: 'wamp.error.authentication_denied',
  authenticationRequired: 'wamp.error.authentication_required',
  noMatchingAuthMethod: 'wamp.error.no_matching_auth_method',
  noSuchRealm: 'wamp.error.no_such_realm',
  protocolViolation: 'wamp.error.protocol_violation',
  canceled: 'wamp.error.canceled',
  timeout: 'wamp.error.timeout',
  runtimeError: 'wamp.error.runtime_error',
  /** Not of the standard, which has no word for it: a bound of `limits.ts` was met. */
  limitExceeded: 'wamp.error.limit_exceeded',
  systemShutdown: 'wamp.close.system_shutdown',
  closeRealm: 'wamp.close.close_realm',
  goodbyeAndOut: 'wamp.close.goodbye_and_out',
} as const;

/** An application's error: what a handler throws to answer a call with ERROR, and what a failed call rejects with. */
export class WampError extends Error {
  override readonly name = 'WampError';
  readonly uri: string;
  readonly args: readonly unknown[];
  readonly kwargs: Readonly<Record<string, unknown>>;

  constructor(uri: string, args: readonly unknown[] = [], kwargs: Readonly<Record<string, unknown>> = {}) {
    super(typeof args[0] === 'string' ? `${uri}: ${args[0]}` : uri);
    this.uri = uri;
    this.args = args;
    this.kwargs = kwargs;
  }
}

/** A peer broke the protocol: its session ends with ABORT `wamp.error.protocol_violation`. The message is told to the peer. */
export class ProtocolViolation extends Error {
  override readonly name = 'ProtocolViolation';
}
