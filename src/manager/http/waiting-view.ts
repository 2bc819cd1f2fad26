import type { Build, Waiting } from '../../contract/api.ts';
import type { BuildWithTries, UsualWait, Wait, WaitStore } from '../../store/index.ts';
import { comingTime, viewBuild } from './build-view.ts';
import { USUAL_WAIT_STARTS_MIN } from './limits.ts';

/** Builds as the API shows them; those that wait say why. */
export interface BuildViews {
  one(row: BuildWithTries): Promise<Build>;
  /** Asks the store once for all of them that wait. */
  all(rows: readonly BuildWithTries[]): Promise<Build[]>;
}

export interface WaitingViewDependencies {
  readonly waits: WaitStore;
  /** How many builds of a namespace may run that has no limit of its own; null for any number. */
  readonly defaultMaxRunning: number | null;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** Makes what shows builds. */
export function createBuildViews({ waits, defaultMaxRunning, now }: WaitingViewDependencies): BuildViews {
  const explain = (rows: readonly BuildWithTries[]): ReturnType<WaitStore['explain']> =>
    waits.explain(
      rows.filter(({ state }) => state === 'waiting').map(({ id }) => id),
      { defaultMaxRunning },
    );
  const view = (row: BuildWithTries, wait: Wait | undefined): Build => ({
    ...viewBuild(row, now()),
    waiting: wait ? viewWaiting(row, wait, now()) : null,
  });
  return {
    one: async (row) => view(row, (await explain([row])).get(row.id)),
    all: async (rows) => {
      const explained = await explain(rows);
      return rows.map((row) => view(row, explained.get(row.id)));
    },
  };
}

function viewWaiting(row: BuildWithTries, wait: Wait, now: number): Waiting {
  const usual = [wait.usual, wait.usualOfAll].find((each) => (each?.starts ?? 0) >= USUAL_WAIT_STARTS_MIN);
  const until = comingTime(row, now);
  return {
    ...reasonOf(row, wait, until),
    until: until?.toISOString() ?? null,
    place: wait.ahead + 1,
    usual: usual ? viewUsual(usual) : null,
  };
}

function viewUsual({ starts, median, p90 }: UsualWait): NonNullable<Waiting['usual']> {
  return { starts, median_seconds: Math.round(median), p90_seconds: Math.round(p90) };
}

/** In the order in which a claim looks at them. */
function reasonOf(row: BuildWithTries, wait: Wait, until: Date | null): Pick<Waiting, 'reason' | 'message'> {
  if (until !== null) {
    const last = row.tries.at(-1);
    if (last === undefined) return { reason: 'not_before', message: 'It starts at its time, or later.' };
    const why = last.error === null ? '' : `: ${last.error.message}`;
    return { reason: 'backing_off', message: `It is tried again after try ${last.number} failed${why}` };
  }
  if (wait.fitting === 0 && !wait.hasExecutor) {
    if (wait.slots === 0 && !wait.hasExecutors)
      return { reason: 'no_worker', message: 'No worker is connected.' };
    return wait.drained > 0
      ? { reason: 'drained', message: 'The workers that could take it are drained: they get no builds.' }
      : {
          reason: 'no_match',
          message: `${wait.hasExecutors ? 'No worker and no executor' : 'No worker'} can take it: it asks for ${demandOf(row, wait)}.`,
        };
  }
  if (wait.maxRunning !== null && wait.running >= wait.maxRunning) {
    const message = `Its namespace ${row.namespace} runs ${wait.running} of ${wait.maxRunning} builds.`;
    return { reason: 'namespace_limit', message };
  }
  if (wait.blockedBy !== null) {
    const message = `Build ${wait.blockedBy} of the same tag runs, and this one waits for that (exclusive).`;
    return { reason: 'exclusive', message };
  }
  if (wait.ready > 0) return { reason: 'next', message: 'A worker is about to take it.' };
  const busy = [
    ...(wait.fitting === 0 ? [] : [`all ${wait.fitting} slots of workers that can take it are busy`]),
    ...(wait.hasExecutor ? ['no executor has room'] : []),
  ].join(', and ');
  return { reason: 'busy', message: `${busy.charAt(0).toUpperCase()}${busy.slice(1)}.` };
}

function demandOf(
  { kind, platform, workerLabels, requiredExtensions }: BuildWithTries,
  { hasCredentials }: Wait,
): string {
  const extensions = new Set([...requiredExtensions, ...(hasCredentials ? ['registry-auth'] : [])]);
  return [
    ...(workerLabels.length === 0 ? [] : [`the labels ${workerLabels.join(', ')}`]),
    ...(platform === null ? [] : [`the platform ${platform}`]),
    ...(extensions.size === 0 ? [] : [`the extensions ${[...extensions].join(', ')}`]),
    `the kind ${kind}`,
  ].join('; ');
}
