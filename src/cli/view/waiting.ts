import type { Build } from '../../contract/api.ts';
import { formatDuration } from './text.ts';

/** From this place on, the manager counts no further. */
const PLACE_MAX = 1001;

/** Nothing that runs now would take it. */
const NOBODY_TAKES_IT: ReadonlySet<string> = new Set(['no_worker', 'drained', 'no_match']);

const FOR_A_WORKER: ReadonlySet<string> = new Set(['no_worker', 'drained', 'no_match', 'busy']);

/** Why a build waits, on one line: it changes only when the reason does. */
export function describeWaiting({ waiting }: Pick<Build, 'waiting'>): string {
  if (waiting === null || waiting.reason === 'next') return 'waiting for a worker';
  const what = FOR_A_WORKER.has(waiting.reason) ? 'waiting for a worker' : 'waiting';
  return `${what}: ${describeReason(waiting)}`;
}

/** The reason alone, where it says elsewhere that the build waits. */
export function describeReason({ message, until }: NonNullable<Build['waiting']>): string {
  return until === null ? message : `${message} Not before ${until}.`;
}

/** Whether it waits for a worker that is not there. */
export function nobodyTakes({ waiting }: Pick<Build, 'waiting'>): boolean {
  return waiting !== null && NOBODY_TAKES_IT.has(waiting.reason);
}

/** Its place, and how long builds usually wait there; empty where that says nothing. */
export function describePlace({ waiting }: Pick<Build, 'waiting'>): string {
  if (waiting === null) return '';
  const place =
    waiting.place >= PLACE_MAX ? `more than ${PLACE_MAX - 1} before it` : `place ${waiting.place}`;
  if (waiting.usual === null) return place;
  const [median, p90] = [waiting.usual.median_seconds, waiting.usual.p90_seconds].map((seconds) =>
    formatDuration(seconds * 1000),
  );
  return `${place}, usually ${median}, 9 of 10 within ${p90}`;
}
