import autobahn, { type Deferred } from 'autobahn';
import { type ExtensionName, managerAcceptanceSchema, type WorkerOffer } from '../../contract/extensions.ts';
import { managerProcedures } from '../../contract/uris.ts';
import type { Clock } from '../clock.ts';
import {
  CALL_WITHIN_MS,
  GOODBYE_WITHIN_MS,
  JOIN_STEP_WITHIN_MS,
  SILENCE_MAX_MS,
  SILENCE_WITHOUT_RESUME_MAX_MS,
} from '../limits.ts';
import type { Transport } from './transport.ts';

type Keywords = Readonly<Record<string, unknown>>;

/** Of GOODBYE. */
const MANAGER_STOPS = 'wamp.close.system_shutdown';
/** Of the ERROR that answers a call. */
const NO_SUCH_PROCEDURE = 'wamp.error.no_such_procedure';

/** What a manager offers in a worker's realm for as long as it has that worker (contract 0.3, "Procedures and topics"). */
const LASTING_PROCEDURES: ReadonlySet<string> = new Set([
  managerProcedures.ping,
  managerProcedures.ready,
  managerProcedures.logMessage,
]);

/** What a procedure answers: its result, or an ERROR where there is a URI. */
export interface Answer {
  readonly error?: string;
  readonly kwargs: Keywords;
}

/** A session in a realm of the manager's. Whatever waits for an answer fails when the session ends. */
export interface RealmSession {
  readonly realm: string;
  /** The extensions that were offered and accepted. */
  readonly accepted: ReadonlySet<ExtensionName>;
  /** Extension `resume`: the last log message that the manager has stored, where it took the worker back with its build. */
  readonly lastStored: number | null;
  /**
   * Resolves when the session has ended, with why: by GOODBYE, with its connection, or because a call showed that the manager has
   * given the worker up, which deployed ones do without a word and without closing the connection.
   */
  readonly ended: Promise<string>;
  /** Whether it ended because the manager stops: another one may be there. */
  readonly wasSentAway: boolean;
  /** Calls the manager; answers with the first positional of the result. Throws CallError, or LinkError. */
  call(procedure: string, kwargs?: Keywords, withinMs?: number): Promise<unknown>;
  /** Offers a procedure. Its endpoint must not throw: a failure is an answer too. */
  register(procedure: string, endpoint: (kwargs: unknown) => Promise<Answer>): Promise<void>;
  subscribe(topic: string, handler: (kwargs: unknown) => void): Promise<void>;
  publish(topic: string): void;
  /** Says GOODBYE, and waits a little for the answer. */
  leave(reason: string): Promise<void>;
}

/** The session or its connection is gone, or does not answer. */
export class LinkError extends Error {
  override readonly name = 'LinkError';
}

/** The manager refused a realm (ABORT). */
export class RealmRefusedError extends Error {
  override readonly name = 'RealmRefusedError';
  readonly uri: string;

  constructor(reason: string) {
    super(`the manager refused the realm: ${reason}`);
    this.uri = reason;
  }
}

/** The manager answered a call with ERROR. */
export class CallError extends Error {
  override readonly name = 'CallError';
  readonly uri: string;

  constructor(uri: string) {
    super(`the manager answered ${uri}`);
    this.uri = uri;
  }
}

/** What a worker shows where a realm asks who it is (WAMP, "Ticket-based Authentication"). */
export interface Ticket {
  /** The `authid`. */
  readonly name: string;
  readonly ticket: string;
}

/** Joins a realm over an open connection. Throws RealmRefusedError, or LinkError. */
export async function joinRealm(
  transport: Transport,
  realm: string,
  offer: WorkerOffer | null,
  clock: Clock,
  ticket: Ticket | null = null,
): Promise<RealmSession> {
  const waiting = new Set<(error: Error) => void>();
  const ended = Promise.withResolvers<string>();
  const session = new autobahn.Session(
    transport,
    defer,
    (_session, method) => {
      if (method === 'ticket' && ticket !== null) return ticket.ticket;
      const error = new LinkError('the manager asks for a ticket (REGISTRATION_TICKET)');
      refuse(error);
      throw error;
    },
    // Errors of ours are answered, and violations close the connection: both are told elsewhere.
    () => undefined,
    () => undefined,
  );
  let refuse: (error: Error) => void = () => undefined;
  let open = true;
  /** GOODBYE is out, and a violation whatever follows it. */
  let isLeaving = false;
  const end = (reason: string): void => {
    open = false;
    ended.resolve(reason);
    for (const reject of waiting) reject(new LinkError(reason));
    waiting.clear();
  };
  void transport.closed.then(end);

  /** What `begin` begins, with an end: its answer, its time, or the session's end. */
  const within = async <T>(ms: number, what: string, begin: () => Promise<T>): Promise<T> => {
    if (!open) throw new LinkError('the session has ended');
    const answer = Promise.withResolvers<T>();
    waiting.add(answer.reject);
    const callOff = clock.after(ms, () =>
      answer.reject(new LinkError(`the manager did not answer ${what} in time`)),
    );
    try {
      begin().then(answer.resolve, answer.reject);
      return await answer.promise;
    } catch (error) {
      throw asError(error);
    } finally {
      callOff();
      waiting.delete(answer.reject);
    }
  };

  const welcome = await within(
    JOIN_STEP_WITHIN_MS,
    'HELLO',
    () =>
      new Promise<Keywords>((resolve, reject) => {
        session.onjoin = resolve;
        refuse = reject;
        session.onleave = (reason) => reject(new RealmRefusedError(uri(reason)));
        session.join(realm, ticket ? ['ticket'] : undefined, ticket?.name, offer ?? undefined);
      }),
  );
  let wasSentAway = false;
  session.onleave = (reason) => {
    wasSentAway = reason === MANAGER_STOPS;
    end(`the manager left: ${uri(reason)}`);
  };
  const acceptance = managerAcceptanceSchema.safeParse(welcome['authextra'] ?? {});
  const accepted = new Set(
    (acceptance.data?.extensions ?? []).filter((name) => offer?.extensions.includes(name)),
  );
  transport.bearSilence(accepted.has('resume') ? SILENCE_MAX_MS : SILENCE_WITHOUT_RESUME_MAX_MS);

  return {
    realm,
    accepted,
    lastStored: acceptance.data?.resume?.last_seq ?? null,
    ended: ended.promise,
    get wasSentAway() {
      return wasSentAway;
    },
    call: async (procedure, kwargs, withinMs = CALL_WITHIN_MS) => {
      try {
        return await within(withinMs, procedure, () =>
          kwargs ? session.call(procedure, [], kwargs) : session.call(procedure),
        );
      } catch (error) {
        const isGivenUp = error instanceof CallError && error.uri === NO_SUCH_PROCEDURE;
        if (isGivenUp && LASTING_PROCEDURES.has(procedure)) end('the manager has given this worker up');
        throw error;
      }
    },
    register: async (procedure, endpoint) => {
      await within(JOIN_STEP_WITHIN_MS, 'REGISTER', () =>
        session.register(procedure, async (_args, kwargs) => {
          const answer = await endpoint(kwargs);
          // eslint-disable-next-line @typescript-eslint/only-throw-error -- autobahn sends only its own class as an ERROR with arguments
          if (answer.error !== undefined) throw new autobahn.Error(answer.error, [], answer.kwargs);
          return new autobahn.Result([], answer.kwargs);
        }),
      );
    },
    subscribe: async (topic, handler) => {
      await within(JOIN_STEP_WITHIN_MS, 'SUBSCRIBE', () =>
        session.subscribe(topic, (_args, kwargs) => handler(kwargs)),
      );
    },
    publish: (topic) => {
      if (open && !isLeaving) session.publish(topic);
    },
    leave: async (reason) => {
      if (!open) return;
      isLeaving = true;
      session.leave(reason);
      await within(GOODBYE_WITHIN_MS, 'GOODBYE', () => ended.promise).catch(() => undefined);
      end('left');
    },
  };
}

function defer(): Deferred {
  return Promise.withResolvers<unknown>();
}

function asError(error: unknown): Error {
  if (error instanceof Error) return error;
  return error instanceof autobahn.Error ? new CallError(uri(error.error)) : new LinkError(String(error));
}

/** A URI as it came from outside, fit for a message. */
function uri(reason: unknown): string {
  return typeof reason === 'string' && /^[\w.-]{1,200}$/.test(reason) ? reason : 'an unreadable reason';
}
