import type { LogBatch } from '../../contract/extensions.ts';
import type { WorkerPhase } from '../../contract/phases.ts';
import { managerProcedures } from '../../contract/uris.ts';
import { sleep } from '../clock.ts';
import { BATCH_AFTER_MS, BATCH_BYTES, BATCH_RETRY_MS, BATCH_TRIES } from '../limits.ts';
import {
  type BuildLog,
  type BuildLogOptions,
  cancelled,
  messageJson,
  phaseJson,
  phaseNotReported,
} from './build-log.ts';
import { createLogQueue } from './log-queue.ts';
import { CallError } from './session.ts';

/** What waits for the answer to a phase change. */
interface Waiter {
  readonly onAnswer: (answer: unknown) => void;
  readonly onFailure: (error: unknown) => void;
}

/** What of a build others see: it begins when the manager has accepted it, and all that was announced before. */
const SEEN_BY_OTHERS: WorkerPhase = 'pushing';

/**
 * Extension `log-batch`: messages are gathered for a short while and travel together, one batch at a time. A phase change goes
 * at once, with what came before it, and its work begins while the answer, which takes the manager's database a while, is on its way; but
 * for `pushing`. While a batch is under way the next one fills, up to the queue's limit; then the engine waits.
 *
 * While the link is away (extension `resume`), messages and phase changes wait in memory and then in the spool, and the build goes on;
 * with the spool full, the engine waits. Nothing is dropped.
 */
export function createBatchLog({ link, clock, onRefused, onLoss, spool }: BuildLogOptions): BuildLog {
  const queue = createLogQueue(spool, (messages, error) => {
    taken += messages;
    onLoss(messages, error);
    settle(({ onFailure }) => onFailure(error));
  });
  /** By the number of their message. */
  const waiters = new Map<number, Waiter>();
  let pushed = 0;
  let taken = 0;
  let sending = false;
  let urgent = false;
  /** Fails as the first phase change did that was not accepted. */
  let announced: Promise<unknown> = Promise.resolve();
  let isCancelled = false;
  let callOffTimer: (() => void) | null = null;
  let waiting: { readonly due: () => boolean; readonly resolve: () => void }[] = [];

  const hasRoom = (): boolean => isCancelled || link.isOver || queue.hasRoom(link.isAway);
  const isIdle = (): boolean => !sending && queue.isEmpty;
  const until = (due: () => boolean): Promise<void> =>
    due() ? Promise.resolve() : new Promise((resolve) => waiting.push({ due, resolve }));
  const wake = (): void => {
    const due = waiting.filter((each) => each.due());
    waiting = waiting.filter((each) => !due.includes(each));
    for (const { resolve } of due) resolve();
  };
  link.onChange(wake);

  /** Tells those whose message was taken. */
  const settle = (how: (waiter: Waiter) => void): void => {
    for (const [number, waiter] of waiters) {
      if (number > taken) break;
      waiters.delete(number);
      how(waiter);
    }
  };

  const deliver = async (first: number, messages: LogBatch['messages']): Promise<unknown> => {
    const rest = (stored: number): LogBatch | null => {
      const known = Math.max(0, stored - first + 1);
      return known >= messages.length ? null : { sequence: first + known, messages: messages.slice(known) };
    };
    for (let tries = 1; ; tries += 1) {
      try {
        return await link.call(managerProcedures.logBatch, rest);
      } catch (error) {
        if (tries >= BATCH_TRIES || !(error instanceof CallError)) throw error;
        await sleep(clock, BATCH_RETRY_MS * tries);
      }
    }
  };

  const send = async (): Promise<void> => {
    const messages = await queue.take();
    wake();
    if (messages.length === 0) return;
    const first = taken + 1;
    taken += messages.length;
    try {
      const answer = await deliver(first, messages);
      link.noteStored(taken);
      if (answer === false && !isCancelled) {
        isCancelled = true;
        onRefused(cancelled());
      }
      settle(({ onAnswer }) => onAnswer(answer));
    } catch (error) {
      onLoss(messages.length, error);
      settle(({ onFailure }) => onFailure(error));
      if (link.isOver) await giveUp(error);
    }
  };

  /** Nobody will hear the rest. */
  const giveUp = async (error: unknown): Promise<void> => {
    if (pushed > taken) onLoss(pushed - taken, error);
    taken = pushed;
    settle(({ onFailure }) => onFailure(error));
    await queue.clear().catch(() => undefined);
  };

  const sendWhileUrgent = async (): Promise<void> => {
    sending = true;
    while (!queue.isEmpty && (urgent || queue.characters >= BATCH_BYTES)) await send();
    sending = false;
    urgent = false;
    wake();
    plan();
  };

  const plan = (): void => {
    if (sending || queue.isEmpty) return;
    if (urgent || queue.characters >= BATCH_BYTES) {
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

  const push = async (message: LogBatch['messages'][number], waiter?: Waiter): Promise<void> => {
    pushed += 1;
    if (waiter) waiters.set(pushed, waiter);
    const pushing = queue.push(message);
    plan();
    await pushing;
  };

  const accepted = async (phase: WorkerPhase, answered: Promise<unknown>): Promise<void> => {
    let answer: unknown;
    try {
      // While the manager cannot be asked, the build goes on; a late no is met as any other line's.
      answer = await Promise.race([answered, until(() => link.isAway && !link.isOver)]);
    } catch (error) {
      throw phaseNotReported(phase, error);
    }
    if (answer === false) throw cancelled();
  };

  return {
    phase: async (phase, data) => {
      const answered = Promise.withResolvers<unknown>();
      urgent = true;
      await push(
        { phase, json_data: phaseJson(data), time: clock.now() },
        { onAnswer: answered.resolve, onFailure: answered.reject },
      );
      announced = Promise.all([announced, accepted(phase, answered.promise)]);
      announced.catch(onRefused);
      if (phase === SEEN_BY_OTHERS) await announced;
    },
    message: async (phase, message) => {
      await until(hasRoom);
      if (isCancelled || link.isOver) return;
      await push({ phase, json_data: messageJson(message), time: clock.now() });
    },
    flush: async () => {
      urgent = true;
      plan();
      await until(isIdle);
      await queue.clear();
    },
  };
}
