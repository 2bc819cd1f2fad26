import type { ExtensionName, LogBatch } from '../../contract/extensions.ts';
import { topics, workerProcedures } from '../../contract/uris.ts';
import type { RealmRow } from '../../store/index.ts';
import { WampError, type Session } from '../../wamp/index.ts';
import type { BuildAnswer, Slot, SlotListener } from './slot.ts';

/** A realm that was allocated to one worker (worker contract 0.3, "Procedures and topics"). */
export interface WorkerRealm {
  readonly kind: RealmRow['kind'];
  /** Of the token that a hosted worker shows; null for enterprise. */
  readonly tokenHash: Uint8Array | null;
  /** From `ready` on. */
  slot: SlotConnection | null;
}

/** A slot as its realm sees it: what the worker's calls arrive at. */
export interface SlotConnection extends Slot {
  readonly session: Session<WorkerRealm>;
  readonly connectedAt: Date;
  /** The build that it was given, from the claim on. */
  buildId: string | null;
  /** `false`: the worker has nothing to report on, or shall stop. */
  message(phase: string, jsonData: string): Promise<boolean>;
  batch(batch: LogBatch): Promise<boolean>;
  cacheTag(): Promise<string>;
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
  let listener: SlotListener | null = null;
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

  return {
    session,
    realm,
    worker,
    extensions,
    connectedAt: new Date(now()),
    buildId: null,

    async build(args, owner): Promise<BuildAnswer> {
      if (isGone()) return { type: 'gone', handedOver: false };
      listener = owner;
      try {
        const { kwargs } = await local.call(workerProcedures.build, [], args, { signal: gone.signal });
        return { type: 'result', kwargs };
      } catch (error) {
        if (isGone()) return { type: 'gone', handedOver: true };
        if (!(error instanceof WampError)) throw error;
        const baseError = error.kwargs['base_error'];
        return {
          type: 'error',
          uri: error.uri,
          baseError: typeof baseError === 'string' ? baseError : '',
        };
      } finally {
        listener = null;
      }
    },

    tellCancelled(reason) {
      if (extensions.includes('cancel')) local.publish(topics.cancel, [], { reason });
    },

    message: (phase, jsonData) => ask(false, (owner) => owner.message(phase, jsonData)),
    batch: (batch) => ask(false, (owner) => owner.batch(batch)),
    cacheTag: () => ask('', (owner) => owner.cacheTag()),
    silentFor: (time) => (owed > 0 ? 0 : time - Math.max(session.lastSeen, lastAnswered)),
    lose: () => gone.abort(),
  };
}
