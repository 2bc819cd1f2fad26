/** What the worker uses of npm `autobahn`, which brings no types of its own. */
declare module 'autobahn' {
  /** What a session sends through; it sets `onmessage` itself. */
  interface SessionTransport {
    onmessage: (message: unknown) => void;
    send(message: unknown[]): void;
    close(code?: number, reason?: string): void;
  }

  interface Deferred {
    readonly promise: Promise<unknown>;
    readonly resolve: (value: unknown) => void;
    readonly reject: (error: unknown) => void;
  }

  type Keywords = Readonly<Record<string, unknown>>;

  /** An ERROR message: what a failed call rejects with, and what an endpoint throws. */
  class WampError {
    constructor(uri: string, args?: readonly unknown[], kwargs?: Keywords);
    readonly error: string;
    readonly args: readonly unknown[];
    readonly kwargs: Keywords;
  }

  class Result {
    constructor(args: readonly unknown[], kwargs: Keywords);
    readonly kwargs: Keywords;
  }

  class Session {
    constructor(
      transport: SessionTransport,
      defer: () => Deferred,
      /** Answers CHALLENGE with the signature; what it throws is answered with ABORT. */
      onChallenge: (session: Session, method: unknown) => string,
      onUserError: (error: unknown, message?: string) => void,
      onInternalError: (error: unknown, message?: string) => void,
    );
    /** Called with the details of WELCOME. */
    onjoin: (details: Readonly<Record<string, unknown>>) => void;
    /** Called for ABORT, and for GOODBYE. */
    onleave: (reason: unknown, details: unknown) => void;
    readonly isOpen: boolean;
    join(realm: string, authmethods?: readonly string[], authid?: string, authextra?: object): void;
    leave(reason: string): void;
    call(procedure: string, args?: readonly unknown[], kwargs?: Keywords): Promise<unknown>;
    register(
      procedure: string,
      endpoint: (args: unknown, kwargs: unknown) => Promise<Result>,
    ): Promise<unknown>;
    subscribe(topic: string, handler: (args: unknown, kwargs: unknown) => void): Promise<unknown>;
    publish(topic: string): void;
  }

  const autobahn: {
    readonly Session: typeof Session;
    readonly Error: typeof WampError;
    readonly Result: typeof Result;
  };
  export default autobahn;
  export type { Deferred, Result, Session, SessionTransport, WampError };
}
