import { EventEmitter, once } from 'node:events';
import { isFinal } from '../../contract/phases.ts';
import type { Build, LogPosition } from '../../contract/api.ts';
import type { LogPage, Store } from '../../store/index.ts';
import type { FollowLog, LogEvent } from '../http/ports.ts';
import type { BuildViews } from '../http/waiting-view.ts';
import { FOLLOW_POLL_MS, FOLLOW_RECORDS } from '../limits.ts';

/**
 * Follows a build's log by reading the store whenever a hint says that there is more, and now and then without one. Any manager
 * can serve any build's viewers, and a viewer that reads slowly holds one page.
 */
export function createFollowLog(
  store: Pick<Store, 'builds' | 'logs' | 'wakeUps'>,
  views: BuildViews,
): FollowLog {
  return async function* follow(buildId, after, signal) {
    const hints = new EventEmitter();
    let hinted = EVERYTHING;
    const unsubscribe = store.wakeUps.subscribe((event) => {
      if (event.type === 'queue' || (event.type !== 'resync' && event.id !== buildId)) return;
      hinted = { build: hinted.build || event.type !== 'log', log: hinted.log || event.type !== 'build' };
      hints.emit('hint');
    });
    try {
      yield* changes(store, views, buildId, after, signal, async () => {
        if (!hinted.build && !hinted.log) {
          const timeout = AbortSignal.any([signal, AbortSignal.timeout(FOLLOW_POLL_MS)]);
          await once(hints, 'hint', { signal: timeout }).catch(() => undefined);
        }
        const hint = hinted.build || hinted.log ? hinted : EVERYTHING;
        hinted = NOTHING;
        return hint;
      });
    } finally {
      unsubscribe();
    }
  };
}

/** What may have changed: what has not is not read. */
interface Hint {
  readonly build: boolean;
  readonly log: boolean;
}

const EVERYTHING: Hint = { build: true, log: true };
const NOTHING: Hint = { build: false, log: false };

async function* changes(
  store: Pick<Store, 'builds' | 'logs'>,
  views: BuildViews,
  buildId: string,
  after: LogPosition,
  signal: AbortSignal,
  nextHint: () => Promise<Hint>,
): AsyncGenerator<LogEvent> {
  let position = after;
  let shown = '';
  for (;;) {
    const hint = await nextHint();
    if (signal.aborted) return;
    let ended: Build | null = null;
    if (hint.build) {
      // Before its log: a build that is final when it is read has no record that comes later.
      const row = await store.builds.get(buildId);
      if (row === null) return;
      const build = await views.one(row);
      const state = JSON.stringify(build);
      if (isFinal(build.state)) ended = build;
      else if (state !== shown) yield { type: 'build', build };
      shown = state;
    }
    let more = hint.log || ended !== null;
    while (more) {
      const page: LogPage = await store.logs.read(buildId, position, FOLLOW_RECORDS);
      const last = page.records.at(-1);
      if (last) {
        yield { type: 'log', records: page.records };
        position = { try: last.try, seq: last.seq };
      }
      more = page.more;
    }
    if (ended) {
      yield { type: 'build', build: ended };
      return;
    }
  }
}
