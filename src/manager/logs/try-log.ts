import type { Masker } from '../../contract/masking.ts';
import type { LogRecord } from '../../contract/api.ts';
import type { LogBatch } from '../../contract/extensions.ts';
import { isWorkerPhase, type WorkerPhase } from '../../contract/phases.ts';
import type { Lease, LeaseStore, LogStore, NewStep } from '../../store/index.ts';
import {
  BASE_IMAGE_MAX_CHARACTERS,
  LOG_FLUSH_CHARACTERS,
  LOG_FLUSH_MS,
  LOG_RECORD_BYTES,
  LOG_RESERVE_BYTES,
  LOG_WAITING_MAX_CHARACTERS,
} from '../limits.ts';
import { persist } from '../persist.ts';
import {
  baseImageOf,
  beginningStep,
  engineEntries,
  phaseEntry,
  readLogMessage,
  type LogEntry,
} from './log-record.ts';

/**
 * The log of one try, on its way from the worker to the store: numbered, masked, in order, each phase and step noted as it
 * begins. Every answer is `false` once the try has ended, which tells the worker to stop.
 */
export interface TryLog {
  /** One message a call: answered at once, stored a moment later, so that a line costs its worker no commit. */
  message(phase: string, jsonData: string): Promise<boolean>;
  /** Many messages a call: answered when they are stored. */
  batch(batch: LogBatch): Promise<boolean>;
  /** The worker has no more to say: resolves when everything is stored, or the try has ended. */
  flush(): Promise<void>;
  /** Nothing is taken or stored any more. */
  end(): void;
}

export interface TryLogDependencies {
  readonly logs: LogStore;
  /** How much is stored of the log of a try, in bytes: output beyond that is dropped, and so is everything beyond a reserve for the rest. */
  readonly logMaxBytes: number;
  readonly leases: LeaseStore;
  /** Hides the secrets of this try; deployed workers do not. */
  readonly masker: Masker;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Aborted when the manager stops. */
  readonly signal: AbortSignal;
}

/** How far the log of a try has come. */
export interface LogPosition {
  readonly seq: number;
  /** How much of it is stored, in bytes. */
  readonly bytes: number;
  /** The last message of a batch that was stored. */
  readonly message: number;
  readonly phase: WorkerPhase | null;
  readonly step: number | null;
}

const BEGINNING: LogPosition = { seq: 0, bytes: 0, message: 0, phase: null, step: null };

/** Begins the log of a try, or goes on with it from where it was stored. */
export function createTryLog(
  lease: Lease,
  dependencies: TryLogDependencies,
  from: LogPosition = BEGINNING,
): TryLog {
  const { logs, leases, logMaxBytes, masker, now, signal } = dependencies;
  let over = false;
  let { seq, bytes, phase, step } = from;
  /** The last message of a batch that was taken: one that is sent again is dropped. */
  let taken = from.message;
  let waiting: LogRecord[] = [];
  /** Of which message of a batch each of them is. */
  let messages: number[] = [];
  let waitingCharacters = 0;
  /** Whether it was said that there is no room for more. */
  let isFull = false;
  /** Whether something was dropped that the store has not been told of. */
  let isUntold = false;
  /** Steps of which the store has not been told: those of a batch are told together, since each telling is a commit. */
  let begun: NewStep[] = [];
  let timer: NodeJS.Timeout | undefined;
  /** What is stored is stored one after the other. */
  let storing: Promise<void> = Promise.resolve();

  /** A secret may lie across two messages of output: what may be the beginning of one is held back. */
  let output = masker.stream();

  /** Whoever sends batches masks them itself: a message is stored whole, or not at all, so that it can be told again. */
  const addWhole = (entry: LogEntry, time: number): void =>
    addRecord({ ...entry, text: masker.mask(entry.text) }, time);

  const add = (entry: LogEntry, time: number): void => {
    if (entry.stream !== 'output') {
      addOutput(output.end(), time);
      output = masker.stream();
      addRecord({ ...entry, text: masker.mask(entry.text) }, time);
    } else addOutput(output.push(entry.text), time);
  };

  const addOutput = (text: string, time: number): void => {
    if (text !== '') addRecord({ stream: 'output', text }, time);
  };

  const addRecord = (entry: LogEntry, time: number): void => {
    const size = LOG_RECORD_BYTES + Buffer.byteLength(entry.text);
    const room = logMaxBytes + (entry.stream === 'output' ? 0 : LOG_RESERVE_BYTES) - bytes;
    if (size <= room) {
      bytes += size;
      pushRecord(entry, time);
      return;
    }
    isUntold = true;
    if (isFull) return;
    isFull = true;
    pushRecord({ stream: 'note', text: logIsFull(logMaxBytes) }, time);
  };

  const pushRecord = (entry: LogEntry, time: number): void => {
    seq += 1;
    waiting.push({
      try: lease.try,
      seq,
      time: new Date(time).toISOString(),
      phase,
      step,
      ...entry,
    });
    messages.push(taken);
    waitingCharacters += entry.text.length;
  };

  const end = (): void => {
    over = true;
    clearTimeout(timer);
    forgetWaiting();
  };

  const forgetWaiting = (): void => {
    waiting = [];
    messages = [];
    waitingCharacters = 0;
  };

  const store = (): Promise<void> => {
    clearTimeout(timer);
    timer = undefined;
    storing = storing.then(async () => {
      const records = waiting;
      const numbers = messages;
      const last = taken;
      const isHeard = isUntold;
      forgetWaiting();
      isUntold = false;
      if (!over && records.length > 0) {
        const stored = await persist(() => logs.append(lease, records, numbers), signal);
        if (stored === null) end();
      }
      if (!over && isHeard && !(await persist(() => logs.heard(lease, last), signal))) end();
    });
    // Who awaits is told of a failure; nobody has to.
    storing.catch(() => undefined);
    return storing;
  };

  /** Before a batch that they are of is stored. */
  const tellSteps = async (): Promise<void> => {
    const steps = begun;
    begun = [];
    const last = steps.pop();
    if (over || !last) return;
    if (!(await persist(() => leases.beginStep(lease, last, steps), signal))) end();
  };

  const take = async (
    nextPhase: string,
    jsonData: string,
    time: number,
    addEntry: (entry: LogEntry, time: number) => void,
  ): Promise<void> => {
    if (!isWorkerPhase(nextPhase)) return;
    const content = readLogMessage(jsonData);
    if (content.type === 'phase') {
      await tellSteps();
      if (over) return;
      phase = nextPhase;
      addEntry(phaseEntry(nextPhase, content.statusData), time);
      const base = baseImageOf(content.statusData);
      const entered = await persist(
        () =>
          leases.enterPhase(lease, nextPhase, base && masker.mask(base).slice(0, BASE_IMAGE_MAX_CHARACTERS)),
        signal,
      );
      if (!entered) end();
      return;
    }
    phase ??= nextPhase;
    if (content.type !== 'engine') return;
    const begins = nextPhase === 'building' ? beginningStep(content.message) : null;
    if (begins) {
      step = begins.ordinal;
      begun.push({ ordinal: begins.ordinal, name: masker.mask(begins.instruction), total: begins.total });
    }
    for (const entry of engineEntries(content.message)) addEntry(entry, time);
  };

  /** Messages are taken one after the other, also when their calls came at once. */
  let turn: Promise<unknown> = Promise.resolve();
  const inTurn = (work: () => Promise<boolean>): Promise<boolean> => {
    const answer = turn.then(work);
    turn = answer.catch(() => undefined);
    return answer;
  };

  return {
    message: (messagePhase, jsonData) =>
      inTurn(async () => {
        if (over) return false;
        await take(messagePhase, jsonData, now(), add);
        await tellSteps();
        if (waitingCharacters >= LOG_WAITING_MAX_CHARACTERS) await store();
        else if (waitingCharacters >= LOG_FLUSH_CHARACTERS) void store();
        else timer ??= setTimeout(() => void store(), LOG_FLUSH_MS);
        return !over;
      }),

    batch: ({ sequence, messages }) =>
      inTurn(async () => {
        for (const [index, { phase: messagePhase, json_data, time }] of messages.entries()) {
          if (over) return false;
          if (sequence + index <= taken) continue;
          taken = sequence + index;
          await take(messagePhase, json_data, time, addWhole);
        }
        await tellSteps();
        await store();
        return !over;
      }),

    flush: async () => {
      await turn;
      addOutput(output.end(), now());
      output = masker.stream();
      await store();
    },
    end,
  };
}

/** What stands in the log in the place of what was dropped. */
function logIsFull(most: number): string {
  return `The log of this try has no room for more: it may have ${most} bytes (TRY_LOG_MAX_BYTES). What steps print from here on is not kept.\n`;
}
