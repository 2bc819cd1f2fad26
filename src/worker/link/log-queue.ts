import { LOG_BATCH_MAX_MESSAGES, type LogBatch } from '../../contract/extensions.ts';
import { BATCH_BYTES_MAX, LOG_QUEUE_BYTES_MAX, LOG_QUEUE_MAX } from '../limits.ts';
import type { LogSpool } from './log-spool.ts';

type Message = LogBatch['messages'][number];

/** The messages that wait to be sent, in order: the first in memory, those after them in the spool, where there is one. */
export interface LogQueue {
  readonly isEmpty: boolean;
  /** Characters that wait in memory. */
  readonly characters: number;
  /** Whether it takes another message within its limits; `away`: into the spool, too. */
  hasRoom(away: boolean): boolean;
  /** Adds a message, whether there is room or not. Resolves when it lies where it waits. */
  push(message: Message): Promise<void>;
  /** Takes out what one batch carries: at least one message, unless there is none. */
  take(): Promise<Message[]>;
  /** Forgets all messages, and the spool. */
  clear(): Promise<void>;
}

/** Makes a queue. `onLoss` is told how many messages the spool lost, and why. */
export function createLogQueue(
  spool: LogSpool | null,
  onLoss: (messages: number, error: unknown) => void,
): LogQueue {
  let memory: Message[] = [];
  let characters = 0;
  /** How many are in the spool, or on their way. */
  let spooled = 0;
  const hasMemory = (): boolean => memory.length < LOG_QUEUE_MAX && characters < LOG_QUEUE_BYTES_MAX;

  const remember = (message: Message): void => {
    memory.push(message);
    characters += message.json_data.length;
  };
  const refill = async (from: LogSpool): Promise<void> => {
    try {
      const lines = await from.take();
      spooled -= lines.length;
      // What we wrote there ourselves.
      for (const line of lines) remember(JSON.parse(line) as Message);
    } catch (error) {
      onLoss(spooled, error);
      spooled = 0;
    }
  };

  return {
    get isEmpty() {
      return memory.length === 0 && spooled === 0;
    },
    get characters() {
      return characters;
    },
    hasRoom: (away) => (spooled === 0 && hasMemory() ? true : away && spool !== null && !spool.isFull),
    push: async (message) => {
      if (spool === null || (spooled === 0 && hasMemory())) {
        remember(message);
        return;
      }
      spooled += 1;
      await spool.push(JSON.stringify(message));
    },
    take: async () => {
      if (spool && memory.length === 0 && spooled > 0) await refill(spool);
      let taken = 0;
      let count = 0;
      for (const { json_data } of memory) {
        if (count > 0 && (count >= LOG_BATCH_MAX_MESSAGES || taken + json_data.length > BATCH_BYTES_MAX))
          break;
        taken += json_data.length;
        count += 1;
      }
      characters -= taken;
      return memory.splice(0, count);
    },
    clear: async () => {
      memory = [];
      characters = 0;
      spooled = 0;
      await spool?.close();
    },
  };
}
