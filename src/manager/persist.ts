import { setTimeout as sleep } from 'node:timers/promises';
import { DatabaseAway } from '../store/index.ts';
import { PERSIST_FIRST_WAIT_MS, PERSIST_LONGEST_WAIT_MS } from './limits.ts';

/**
 * Does what must reach the database, again and again while it is away: what the store offers may be repeated. Throws what is
 * not the database's absence, and DatabaseAway itself once `signal` says to stop.
 */
export async function persist<T>(operation: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (let wait = PERSIST_FIRST_WAIT_MS; ; wait = Math.min(wait * 2, PERSIST_LONGEST_WAIT_MS)) {
    try {
      return await operation();
    } catch (error) {
      if (!(error instanceof DatabaseAway) || signal.aborted) throw error;
      await sleep(wait, undefined, { signal }).catch(() => undefined);
    }
  }
}
