import { EventEmitter, once } from 'node:events';
import { isFinal } from '../../contract/phases.ts';
import type { LogPosition } from '../../contract/api.ts';
import type { LogPage, Store } from '../../store/index.ts';
import type { FollowLog, LogEvent } from '../http/ports.ts';
import { FOLLOW_POLL_MS, FOLLOW_RECORDS } from '../limits.ts';

/**
 * Follows a build's log by reading the store whenever a hint says that there is more, and now and then without one. Any manager
 * can serve any build's viewers, and a viewer that reads slowly holds one page.
 */
export function createFollowLog(store: Pick<Store, 'builds' | 'logs' | 'wakeUps'>): FollowLog {
  return async function* follow(buildId, after, signal) {
    const hints = new EventEmitter();
    let hinted = true;
    const unsubscribe = store.wakeUps.subscribe((event) => {
      if (event.type === 'resync' || (event.type !== 'queue' && event.id === buildId)) {
        hinted = true;
        hints.emit('hint');
      }
    });
    try {
      yield* changes(store, buildId, after, signal, async () => {
        if (!hinted) {
          const timeout = AbortSignal.any([signal, AbortSignal.timeout(FOLLOW_POLL_MS)]);
          await once(hints, 'hint', { signal: timeout }).catch(() => undefined);
        }
        hinted = false;
      });
    } finally {
      unsubscribe();
    }
  };
}

async function* changes(
  store: Pick<Store, 'builds' | 'logs'>,
  buildId: string,
  after: LogPosition,
  signal: AbortSignal,
  hint: () => Promise<void>,
): AsyncGenerator<LogEvent> {
  let position = after;
  let shown = '';
  for (;;) {
    await hint();
    if (signal.aborted) return;
    // In this order: a build that is final when it is read has no record that comes later.
    const build = await store.builds.get(buildId);
    if (build === null) return;
    const state = JSON.stringify(build);
    const ended = isFinal(build.state);
    if (!ended && state !== shown) yield { type: 'build', build };
    shown = state;
    let page: LogPage;
    do {
      page = await store.logs.read(buildId, position, FOLLOW_RECORDS);
      for (const record of page.records) {
        yield { type: 'log', record };
        position = { try: record.try, seq: record.seq };
      }
    } while (page.more);
    if (ended) {
      yield { type: 'build', build };
      return;
    }
  }
}
