import type { Database } from './database.ts';
import { WAITS_COUNTED_MAX, WAITS_OF_STARTS } from './limits.ts';
import type { UsualWait, Wait, WaitStore } from './ports/waits.ts';
import { statement } from './statements.ts';

interface ExplainedWait extends Omit<Wait, 'usual' | 'usualOfAll'> {
  readonly buildId: string;
  readonly ownStarts: number | null;
  readonly ownMedian: number | null;
  readonly ownP90: number | null;
  readonly farmStarts: number | null;
  readonly farmMedian: number | null;
  readonly farmP90: number | null;
}

const explainWaits = statement<
  [ids: readonly string[], countedMax: number, defaultMaxRunning: number | null, starts: number],
  ExplainedWait
>('explain-waits');

/** The port's implementation. */
export function createWaitStore({ run }: Database): WaitStore {
  return {
    async explain(buildIds, { defaultMaxRunning }) {
      if (buildIds.length === 0) return new Map();
      const rows = await run(explainWaits, [buildIds, WAITS_COUNTED_MAX, defaultMaxRunning, WAITS_OF_STARTS]);
      return new Map(rows.map((row) => [row.buildId, waitOf(row)]));
    },
  };
}

function waitOf(row: ExplainedWait): Wait {
  const { ahead, running, maxRunning, blockedBy, slots, fitting, ready, drained } = row;
  return {
    ahead,
    running,
    maxRunning,
    blockedBy,
    slots,
    fitting,
    ready,
    drained,
    hasCredentials: row.hasCredentials,
    hasExecutors: row.hasExecutors,
    hasExecutor: row.hasExecutor,
    usual: usualOf(row.ownStarts, row.ownMedian, row.ownP90),
    usualOfAll: usualOf(row.farmStarts, row.farmMedian, row.farmP90),
  };
}

function usualOf(starts: number | null, median: number | null, p90: number | null): UsualWait | null {
  return starts === null || median === null || p90 === null ? null : { starts, median, p90 };
}
