import { BuildError } from '../../contract/build-errors.ts';
import { LOG_BATCH_MAX_MESSAGES, type LogBatch } from '../../contract/extensions.ts';
import { managerProcedures } from '../../contract/uris.ts';
import { sleep } from '../clock.ts';
import {
  BATCH_AFTER_MS,
  BATCH_BYTES,
  BATCH_BYTES_MAX,
  BATCH_RETRY_MS,
  BATCH_TRIES,
  LOG_QUEUE_BYTES_MAX,
  LOG_QUEUE_MAX,
} from '../limits.ts';
import { type BuildLog, type BuildLogOptions, messageJson, phaseJson } from './build-log.ts';
import { CallError } from './session.ts';

interface Queued {
  readonly message: LogBatch['messages'][number];
  /** For a phase change, which waits for the answer. */
  readonly onAnswer?: (answer: unknown) => void;
  readonly onFailure?: (error: unknown) => void;
}

/**
 * Extension `log-batch`: messages are gathered for a short while and travel together, one batch at a time. A phase change goes
 * at once, with what came before it. While a batch is under way the next one fills, up to the queue's limit; then the engine waits.
 */
export function createBatchLog({ session, clock, onCancelled, onLoss }: BuildLogOptions): BuildLog {
  let queue: Queued[] = [];
  let queuedBytes = 0;
  let sequence = 1;
  let sending = false;
  let urgent = false;
  let cancelled = false;
  let callOffTimer: (() => void) | null = null;
  let waiting: { readonly due: () => boolean; readonly resolve: () => void }[] = [];

  const hasRoom = (): boolean =>
    cancelled || (queue.length < LOG_QUEUE_MAX && queuedBytes < LOG_QUEUE_BYTES_MAX);
  const isIdle = (): boolean => !sending && queue.length === 0;
  const until = (due: () => boolean): Promise<void> =>
    due() ? Promise.resolve() : new Promise((resolve) => waiting.push({ due, resolve }));
  const wake = (): void => {
    const due = waiting.filter((each) => each.due());
    waiting = waiting.filter((each) => !due.includes(each));
    for (const { resolve } of due) resolve();
  };

  const take = (): Queued[] => {
    let bytes = 0;
    let count = 0;
    for (const { message } of queue) {
      bytes += message.json_data.length;
      if (count > 0 && (count >= LOG_BATCH_MAX_MESSAGES || bytes > BATCH_BYTES_MAX)) break;
      count += 1;
    }
    const batch = queue.slice(0, count);
    queue = queue.slice(count);
    queuedBytes = queue.reduce((sum, { message }) => sum + message.json_data.length, 0);
    return batch;
  };

  const deliver = async (batch: readonly Queued[]): Promise<unknown> => {
    const kwargs: LogBatch = { sequence, messages: batch.map(({ message }) => message) };
    sequence += batch.length;
    for (let tries = 1; ; tries += 1) {
      try {
        return await session.call(managerProcedures.logBatch, kwargs);
      } catch (error) {
        if (tries >= BATCH_TRIES || !(error instanceof CallError)) throw error;
        await sleep(clock, BATCH_RETRY_MS * tries);
      }
    }
  };

  const send = async (): Promise<void> => {
    const batch = take();
    wake();
    try {
      const answer = await deliver(batch);
      if (answer === false && !cancelled) {
        cancelled = true;
        onCancelled();
      }
      for (const { onAnswer } of batch) onAnswer?.(answer);
    } catch (error) {
      onLoss(batch.length, error);
      for (const { onFailure } of batch) onFailure?.(error);
    }
  };

  const sendWhileUrgent = async (): Promise<void> => {
    sending = true;
    while (queue.length > 0 && (urgent || queuedBytes >= BATCH_BYTES)) await send();
    sending = false;
    urgent = false;
    wake();
    plan();
  };

  const plan = (): void => {
    if (sending || queue.length === 0) return;
    if (urgent || queuedBytes >= BATCH_BYTES) {
      callOffTimer?.();
      callOffTimer = null;
      void sendWhileUrgent();
    } else {
      callOffTimer ??= clock.after(BATCH_AFTER_MS, () => {
        callOffTimer = null;
        urgent = true;
        plan();
      });
    }
  };

  const push = (queued: Queued): void => {
    queue.push(queued);
    queuedBytes += queued.message.json_data.length;
    plan();
  };

  return {
    phase: async (phase, data) => {
      const answered = Promise.withResolvers<unknown>();
      urgent = true;
      push({
        message: { phase, json_data: phaseJson(data), time: clock.now() },
        onAnswer: answered.resolve,
        onFailure: answered.reject,
      });
      let answer: unknown;
      try {
        answer = await answered.promise;
      } catch (error) {
        throw new BuildError('errorduringphasetransition', `The phase ${phase} could not be reported.`, {
          cause: error,
        });
      }
      if (answer === false) throw new BuildError('clientrejectedtransition', 'The build was cancelled.');
    },
    message: async (phase, message) => {
      await until(hasRoom);
      if (!cancelled) push({ message: { phase, json_data: messageJson(message), time: clock.now() } });
    },
    flush: () => {
      urgent = true;
      plan();
      return until(isIdle);
    },
  };
}
