import { createRequire } from 'node:module';

/** As much of the npm package `autobahn`, which has no types of its own, as the tests use. */
interface Autobahn {
  readonly Connection: new (options: object) => Connection;
  readonly Result: new (args: unknown[], kwargs: object) => object;
  readonly Error: new (uri: string, args?: unknown[], kwargs?: object) => WampFailure;
}

interface WampFailure extends Error {
  readonly error: string;
  readonly args: unknown[];
  readonly kwargs: object;
}

interface Connection {
  onopen: (session: AutobahnSession, details: object) => void;
  onclose: (reason: string, details: { reason: string | null; message: string | null }) => boolean;
  open(): void;
  close(): void;
}

interface InvocationDetails {
  readonly caller?: number;
  readonly procedure: string;
  readonly progress: ((args: unknown[], kwargs?: object) => void) | null;
}

interface EventDetails {
  readonly publication: number;
  readonly publisher?: number;
  readonly topic: string;
}

interface Deferred<Value> extends Promise<Value> {
  then: <Result, Failure = never>(
    done: (value: Value) => Result | PromiseLike<Result>,
    failed?: ((error: unknown) => Failure | PromiseLike<Failure>) | null,
    progress?: (value: unknown) => void,
  ) => Promise<Result | Failure>;
}

export interface AutobahnSession {
  readonly id: number;
  readonly features: object;
  call(uri: string, args?: unknown[], kwargs?: object, options?: object): Deferred<unknown>;
  register(
    uri: string,
    endpoint: (args: unknown[], kwargs: object, details: InvocationDetails) => unknown,
    options?: object,
  ): Promise<{ unregister(): Promise<void> }>;
  subscribe(
    uri: string,
    handler: (args: unknown[], kwargs: object, details: EventDetails) => void,
    options?: object,
  ): Promise<{ readonly id: number; unsubscribe(): Promise<boolean> }>;
  publish(
    uri: string,
    args?: unknown[] | null,
    kwargs?: object | null,
    options?: object,
  ): Promise<{ id: number }>;
  leave(reason?: string, message?: string): void;
}

// It tells of every closed connection, by the console.warn that it finds when it is loaded.
const { warn } = console;
Object.assign(console, { warn: () => undefined });
export const autobahn = createRequire(import.meta.url)('autobahn') as Autobahn;
Object.assign(console, { warn });

interface OpenConnection extends Disposable {
  readonly session: AutobahnSession;
  /** Why it was closed, once it was. */
  readonly closed: Promise<{ reason: string; details: { reason: string | null; message: string | null } }>;
  close(): void;
}

/** Opens a session with the client that people use. Rejects with the reason when that is refused. */
export async function openAutobahn(url: string, options: object = {}): Promise<OpenConnection> {
  const connection = new autobahn.Connection({ url, realm: 'realm1', max_retries: 0, ...options });
  const closed = Promise.withResolvers<Awaited<OpenConnection['closed']>>();
  const session = await new Promise<AutobahnSession>((resolve, reject) => {
    connection.onopen = resolve;
    connection.onclose = (reason, details) => {
      closed.resolve({ reason, details });
      reject(new Error(details.reason ?? reason));
      return true;
    };
    connection.open();
  });
  const close = () => connection.close();
  return { session, closed: closed.promise, close, [Symbol.dispose]: close };
}
