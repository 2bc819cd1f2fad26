import type { Broker } from './broker.ts';
import type { Dealer } from './dealer.ts';
import { errorUris, WampError } from './errors.ts';
import { Member } from './member.ts';
import type { LocalMember, PendingCall, SharedMessage } from './member.ts';
import type { Dict } from './json.ts';
import { Code } from './messages.ts';
import type { RouterMessage } from './messages.ts';
import type {
  CallOptions,
  CallResult,
  EventHandler,
  Invocation,
  LocalSession,
  Logger,
  ProcedureHandler,
  Realm,
  RealmPolicy,
  Session,
} from './policy.ts';
import { SparseMap } from './sparse-map.ts';
import { isUri } from './uris.ts';

/** The realm that a local session lives in, as it needs it. */
interface Home<Data> extends Realm<Data> {
  readonly policy: RealmPolicy<Data>;
  readonly dealer: Dealer;
  readonly broker: Broker;
  readonly logger: Logger;
  readonly uriLength: number;
}

interface OwnCall {
  readonly resolve: (result: CallResult) => void;
  readonly reject: (error: WampError) => void;
  readonly progress: CallOptions['progress'];
}

/**
 * The owner's session in a realm. There may be tens of thousands, each nearly idle: handlers come from tables that realms
 * share, and whatever else it needs is made when it is first needed.
 */
export class LocalSessionMember<Data> extends Member implements LocalSession<Data>, LocalMember {
  override readonly interruptible = true;
  readonly #home: Home<Data>;
  #lastRequest = 0;
  #ownCalls: SparseMap<number, OwnCall> | null = null;
  #running: SparseMap<number, LocalInvocation<Data>> | null = null;
  #procedures: Map<number, ProcedureHandler<Data>> | null = null;
  #topics: Map<number, Set<EventHandler<Data>>> | null = null;

  constructor(id: number, home: Home<Data>) {
    super(id, { authid: null, authrole: null });
    this.#home = home;
  }

  register(uri: string, handler: ProcedureHandler<Data>): () => void {
    this.#checkUri(uri);
    const registration = this.#home.dealer.register(this, uri, 'exact', 'single');
    if (!registration) throw new WampError(errorUris.procedureAlreadyExists, [uri]);
    const handlers = (this.#procedures ??= new Map());
    handlers.set(registration.id, handler);
    return () => {
      if (handlers.delete(registration.id)) this.#home.dealer.unregister(this, registration);
    };
  }

  subscribe(uri: string, handler: EventHandler<Data>): () => void {
    this.#checkUri(uri);
    const subscription = this.#home.broker.subscribe(this, uri, 'exact');
    const topics = (this.#topics ??= new Map<number, Set<EventHandler<Data>>>());
    const handlers = topics.get(subscription.id) ?? new Set();
    topics.set(subscription.id, handlers.add(handler));
    return () => {
      if (!handlers.delete(handler) || handlers.size > 0) return;
      topics.delete(subscription.id);
      this.#home.broker.unsubscribe(this, subscription);
    };
  }

  async call(
    uri: string,
    args: readonly unknown[] = [],
    kwargs: Readonly<Dict> = {},
    options: CallOptions = {},
  ): Promise<CallResult> {
    this.#checkUri(uri);
    const { signal, timeout = 0, progress } = options;
    if (signal?.aborted)
      throw new WampError(errorUris.canceled, ['the call was cancelled before it was made']);
    const request = ++this.#lastRequest;
    const calls = (this.#ownCalls ??= new SparseMap<number, OwnCall>());
    const cancel = () => this.#home.dealer.handleCancel(this, [Code.CANCEL, request, { mode: 'killnowait' }]);
    signal?.addEventListener('abort', cancel);
    try {
      return await new Promise((resolve, reject) => {
        calls.set(request, { resolve, reject, progress });
        const callOptions = { timeout, receive_progress: progress !== undefined };
        this.#home.dealer.handleCall(this, [Code.CALL, request, callOptions, uri, [...args], kwargs]);
      });
    } finally {
      calls.delete(request);
      signal?.removeEventListener('abort', cancel);
    }
  }

  publish(
    uri: string,
    args: readonly unknown[] = [],
    kwargs: Readonly<Dict> = {},
    options: { readonly eligible?: readonly number[] } = {},
  ): void {
    this.#checkUri(uri);
    this.#home.broker.publish(this, [
      Code.PUBLISH,
      ++this.#lastRequest,
      { ...options },
      uri,
      [...args],
      kwargs,
    ]);
  }

  offers(procedure: string): boolean {
    return this.#home.policy.procedures?.has(procedure) === true;
  }

  listens(topic: string): boolean {
    return this.#home.policy.topics?.has(topic) === true;
  }

  invoke(
    call: PendingCall,
    registration: number | null,
    procedure: string,
    args: readonly unknown[] = [],
    kwargs: Dict = {},
  ): void {
    const handler =
      registration === null
        ? this.#home.policy.procedures?.get(procedure)
        : this.#procedures?.get(registration);
    if (!handler) {
      this.#home.dealer.fail(call, errorUris.noSuchProcedure, [procedure]);
      return;
    }
    const invocation = new LocalInvocation(this.#home, call, procedure);
    let answer: ReturnType<ProcedureHandler<Data>>;
    try {
      answer = handler(args, kwargs, invocation);
    } catch (error) {
      this.#fail(call, procedure, error);
      return;
    }
    if (!(answer instanceof Promise)) {
      this.#settle(call, procedure, answer);
      return;
    }
    const running = (this.#running ??= new SparseMap<number, LocalInvocation<Data>>());
    running.set(call.invocation, invocation);
    answer
      .then(
        (result) => this.#settle(call, procedure, result),
        (error: unknown) => this.#fail(call, procedure, error),
      )
      .finally(() => running.delete(call.invocation));
  }

  receive(
    subscription: number | null,
    topic: string,
    publication: number,
    publisher: Member,
    args: readonly unknown[] = [],
    kwargs: Dict = {},
  ): void {
    const home = this.#home;
    const event = {
      realm: home,
      topic,
      publication,
      publisher: home.sessions.get(publisher.id) ?? null,
    };
    const handlers =
      subscription === null ? [home.policy.topics?.get(topic)] : (this.#topics?.get(subscription) ?? []);
    for (const handler of handlers) {
      try {
        handler?.(args, kwargs, event);
      } catch (error) {
        home.logger.warn({ topic, err: error }, 'the handler of an event failed');
      }
    }
  }

  override deliver(message: RouterMessage): void {
    switch (message[0]) {
      case Code.RESULT:
        this.#onResult(message);
        break;
      case Code.ERROR:
        this.#ownCalls?.get(message[2] as number)?.reject(errorOf(message));
        break;
      case Code.INTERRUPT:
        this.#running?.get(message[1] as number)?.abort();
        break;
    }
  }

  override deliverShared({ message }: SharedMessage): void {
    this.deliver(message);
  }

  #onResult(message: RouterMessage): void {
    const call = this.#ownCalls?.get(message[1] as number);
    const details = message[2] as Dict;
    const args = (message[3] ?? []) as unknown[];
    const kwargs = (message[4] ?? {}) as Dict;
    if (details['progress'] === true) call?.progress?.(args, kwargs);
    else call?.resolve({ args, kwargs });
  }

  #settle(call: PendingCall, procedure: string, answer: Awaited<ReturnType<ProcedureHandler<Data>>>): void {
    try {
      this.#home.dealer.settle(call, answer?.args, answer?.kwargs);
    } catch (error) {
      // The answer is not fit for JSON.
      this.#fail(call, procedure, error);
    }
  }

  #fail(call: PendingCall, procedure: string, error: unknown): void {
    const { dealer, logger } = this.#home;
    if (error instanceof WampError) {
      try {
        dealer.fail(call, error.uri, error.args, error.kwargs);
        return;
      } catch {
        dealer.fail(call, error.uri);
        return;
      }
    }
    logger.warn({ procedure, err: error }, 'the handler of a procedure failed');
    dealer.fail(call, errorUris.runtimeError, ['internal error']);
  }

  #checkUri(uri: string): void {
    if (!isUri(uri, this.#home.uriLength)) throw new WampError(errorUris.invalidUri, [uri]);
  }
}

/** The error that an ERROR message carries. */
function errorOf(message: RouterMessage): WampError {
  return new WampError(message[4] as string, (message[5] ?? []) as unknown[], (message[6] ?? {}) as Dict);
}

class LocalInvocation<Data> implements Invocation<Data> {
  readonly realm: Home<Data>;
  readonly procedure: string;
  readonly caller: Session<Data> | null;
  readonly #call: PendingCall;
  // Few handlers look at it, and it is not cheap.
  #controller: AbortController | null = null;
  #aborted = false;

  constructor(realm: Home<Data>, call: PendingCall, procedure: string) {
    this.realm = realm;
    this.#call = call;
    this.procedure = procedure;
    // Now: a caller that has gone must not look like the local session later.
    this.caller = realm.sessions.get(call.caller.id) ?? null;
  }

  get receivesProgress(): boolean {
    return this.#call.receivesProgress;
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#aborted) this.#controller.abort();
    return this.#controller.signal;
  }

  abort(): void {
    this.#aborted = true;
    this.#controller?.abort();
  }

  progress(args?: readonly unknown[], kwargs?: Readonly<Dict>): void {
    this.realm.dealer.progress(this.#call, args, kwargs);
  }
}
