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

/** A slot as its realm sees it: what the worker's calls arrive at. */
export interface SlotConnection extends Slot {
  readonly session: Session<WorkerRealm>;
  readonly connectedAt: Date;
  /** Of the build that it was given, from the claim on. */
  lease: Lease | null;
  /** Whether the build that it has was cancelled, or lost to it. */
  readonly isCancelled: boolean;
  /** `false`: the worker has nothing to report on, or shall stop. */
  message(phase: string, jsonData: string): Promise<boolean>;
  batch(batch: LogBatch): Promise<boolean>;
  cacheTag(): Promise<string>;
  /** Extension `resume`: how the build ended. Resolves when that is stored; `false` when it is not. */
  report(answer: BuildAnswer): Promise<boolean>;
  /** How long nothing came, in milliseconds; 0 while we owe an answer, since deployed workers are silent meanwhile. */
  silentFor(now: number): number;
  /** Its connection is gone. */
  lose(): void;
}

export function createSlotConnection(
  session: Session<WorkerRealm>,
  worker: Slot['worker'],
  extensions: readonly ExtensionName[],
  now: () => number,
): SlotConnection {
  const { local, name: realm } = session.realm;
  const gone = new AbortController();
  const left = Promise.withResolvers<BuildAnswer>();
  let listener: SlotListener | null = null;
  let report: (answer: BuildAnswer) => void = () => undefined;
  /** Resolves with the answer of the invocation, and for a resumed build with the end of the connection. */
  let invocation: Promise<BuildAnswer> = left.promise;
  let isCancelled = false;
  let owed = 0;
  let lastAnswered = now();
  const isGone = (): boolean => gone.signal.aborted;

  /** Asks whoever runs the build, and remembers that the worker waits. */
  const ask = async <T>(otherwise: T, question: (listener: SlotListener) => Promise<T>): Promise<T> => {
    if (listener === null) return otherwise;
    owed += 1;
    try {
      return await question(listener);
    } finally {
      owed -= 1;
      lastAnswered = now();
    }
  };

  const invoke = async (args: BuildArgumentsMessage): Promise<BuildAnswer> => {
    try {
      const { kwargs } = await local.call(workerProcedures.build, [], args, { signal: gone.signal });
      return { type: 'result', kwargs };
    } catch (error) {
      if (isGone()) return { type: 'gone', handedOver: true };
      if (!(error instanceof WampError)) throw error;
      // What is no error of the contract's says what happened where WAMP's own errors do.
      const baseError = error.kwargs['base_error'] ?? error.args[0];
      return { type: 'error', uri: error.uri, baseError: typeof baseError === 'string' ? baseError : '' };
    }
  };

  /** What the worker reports, or how its invocation ends, whichever is first. */
  const listen = (owner: SlotListener, ended: Promise<BuildAnswer>): Promise<BuildAnswer> => {
    listener = owner;
    isCancelled = false;
    invocation = ended;
    const reported = new Promise<BuildAnswer>((resolve) => (report = resolve));
    return Promise.race([reported, ended]);
  };

  return {
    session,
    realm,
    worker,
    extensions,
    connectedAt: new Date(now()),
    lease: null,

    build: (args, owner) =>
      isGone() ? Promise.resolve({ type: 'gone', handedOver: false }) : listen(owner, invoke(args)),
    resume: (owner) => listen(owner, left.promise),
    free: async () => {
      await invocation.catch(() => undefined);
      listener = null;
    },

    get isCancelled() {
      return isCancelled;
    },

    tellCancelled(reason) {
      isCancelled = true;
      if (!extensions.includes('cancel')) return;
      local.publish(topics.cancel, [], { reason }, { eligible: [session.id] });
    },

    dismiss: (reason) => session.abort('wamp.close.killed', reason),

    message: (phase, jsonData) => ask(false, (owner) => owner.message(phase, jsonData)),
    batch: (batch) => ask(false, (owner) => owner.batch(batch)),
    cacheTag: () => ask('', (owner) => owner.cacheTag()),
    report: (answer) =>
      ask(false, (owner) => {
        report(answer);
        return owner.concluded;
      }),
    silentFor: (time) => (owed > 0 ? 0 : time - Math.max(session.lastSeen, lastAnswered)),
    lose: () => {
      gone.abort();
      left.resolve({ type: 'gone', handedOver: true });
    },
  };
}
