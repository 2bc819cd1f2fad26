import type { BuildArgumentsMessage } from '../../contract/build-arguments.ts';
import type { ExtensionName, LogBatch } from '../../contract/extensions.ts';
import { topics, workerProcedures } from '../../contract/uris.ts';
import type { Lease, RealmRow } from '../../store/index.ts';
import { WampError, type Session } from '../../wamp/index.ts';
import type { BuildAnswer, Slot, SlotListener } from './slot.ts';

/** A realm that was allocated to one worker (worker contract 0.3, "Procedures and topics"). */
export interface WorkerRealm {
  readonly kind: RealmRow['kind'];
  /** Of the token that a hosted worker shows; null for enterprise. */
  readonly tokenHash: Uint8Array | null;
  /** The name of the ticket by which its worker registered; null for none. */
  readonly registeredAs: string | null;
  /** From `ready`, or the resumption of a build, on. */
  slot: SlotConnection | null;
}

/** A build that a slot was given. */
interface Work {
  readonly listener: SlotListener;
  /** Aborted when the connection is gone. */
  readonly lost: AbortController;
  /** Extension `resume`: how the build ended, as the worker reports it. */
  readonly reported: PromiseWithResolvers<BuildAnswer>;
  /** Resolves with the answer of the invocation, and for a resumed build with the end of the connection. */
  readonly ended: Promise<BuildAnswer>;
}

/**
 * A slot as its realm sees it: what the worker's calls arrive at. There may be tens of thousands, nearly idle: what only a build needs is
 * made for the build.
 */
export class SlotConnection implements Slot {
  readonly session: Session<WorkerRealm>;
  readonly worker: Slot['worker'];
  readonly extensions: readonly ExtensionName[];
  /** Milliseconds since 1970. */
  readonly connectedAt: number;
  /** Of the build that it was given, from the claim on. */
  lease: Lease | null = null;
  readonly #now: () => number;
  #work: Work | null = null;
  #isGone = false;
  #isCancelled = false;
  #owed = 0;
  #lastAnswered: number;

  constructor(
    session: Session<WorkerRealm>,
    worker: Slot['worker'],
    extensions: readonly ExtensionName[],
    now: () => number,
  ) {
    this.session = session;
    this.worker = worker;
    this.extensions = extensions;
    this.connectedAt = now();
    this.#now = now;
    this.#lastAnswered = this.connectedAt;
  }

  get realm(): string {
    return this.session.realm.name;
  }

  /** Whether the build that it has was cancelled, or lost to it. */
  get isCancelled(): boolean {
    return this.#isCancelled;
  }

  build(args: BuildArgumentsMessage, listener: SlotListener): Promise<BuildAnswer> {
    if (this.#isGone) return Promise.resolve({ type: 'gone', handedOver: false });
    return this.#begin(listener, (lost) => this.#invoke(args, lost));
  }

  resume(listener: SlotListener): Promise<BuildAnswer> {
    return this.#begin(listener, untilAborted);
  }

  async free(): Promise<void> {
    await this.#work?.ended.catch(() => undefined);
    this.#work = null;
  }

  tellCancelled(reason: string): void {
    this.#isCancelled = true;
    if (!this.extensions.includes('cancel')) return;
    const { id, realm } = this.session;
    realm.local.publish(topics.cancel, [], { reason }, { eligible: [id] });
  }

  dismiss(reason: string): void {
    this.session.abort('wamp.close.killed', reason);
  }

  /** `false`: the worker has nothing to report on, or shall stop. */
  message(phase: string, jsonData: string): Promise<boolean> {
    return this.#ask(false, ({ listener }) => listener.message(phase, jsonData));
  }

  /** The same, for what came together. */
  batch(batch: LogBatch): Promise<boolean> {
    return this.#ask(false, ({ listener }) => listener.batch(batch));
  }

  /** The tag whose image may prime the cache, or `''`. */
  cacheTag(): Promise<string> {
    return this.#ask('', ({ listener }) => listener.cacheTag());
  }

  /** Extension `resume`: how the build ended. Resolves when that is stored; `false` when it is not. */
  report(answer: BuildAnswer): Promise<boolean> {
    return this.#ask(false, ({ listener, reported }) => {
      reported.resolve(answer);
      return listener.concluded;
    });
  }

  /** How long nothing came, in milliseconds; 0 while we owe an answer, since deployed workers are silent meanwhile. */
  silentFor(now: number): number {
    return this.#owed > 0 ? 0 : now - Math.max(this.session.lastSeen, this.#lastAnswered);
  }

  /** Its connection is gone. */
  lose(): void {
    this.#isGone = true;
    this.#work?.lost.abort();
  }

  /** Resolves with what the worker reports, or with how its build ends, whichever is first. */
  #begin(listener: SlotListener, end: (lost: AbortSignal) => Promise<BuildAnswer>): Promise<BuildAnswer> {
    const lost = new AbortController();
    if (this.#isGone) lost.abort();
    const reported = Promise.withResolvers<BuildAnswer>();
    const ended = end(lost.signal);
    this.#work = { listener, lost, reported, ended };
    this.#isCancelled = false;
    return Promise.race([reported.promise, ended]);
  }

  async #invoke(args: BuildArgumentsMessage, lost: AbortSignal): Promise<BuildAnswer> {
    try {
      const { kwargs } = await this.session.realm.local.call(workerProcedures.build, [], args, {
        signal: lost,
      });
      return { type: 'result', kwargs };
    } catch (error) {
      if (lost.aborted) return GONE;
      if (!(error instanceof WampError)) throw error;
      // What is no error of the contract's says what happened where WAMP's own errors do.
      const baseError = error.kwargs['base_error'] ?? error.args[0];
      return { type: 'error', uri: error.uri, baseError: typeof baseError === 'string' ? baseError : '' };
    }
  }

  /** Asks whoever runs the build, and remembers that the worker waits. */
  async #ask<T>(otherwise: T, question: (work: Work) => Promise<T>): Promise<T> {
    if (this.#work === null) return otherwise;
    this.#owed += 1;
    try {
      return await question(this.#work);
    } finally {
      this.#owed -= 1;
      this.#lastAnswered = this.#now();
    }
  }
}

const GONE: BuildAnswer = { type: 'gone', handedOver: true };

function untilAborted(signal: AbortSignal): Promise<BuildAnswer> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(GONE);
    else signal.addEventListener('abort', () => resolve(GONE), { once: true });
  });
}
