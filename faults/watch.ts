import { setTimeout as wait } from 'node:timers/promises';
import { buildListSchema, type Build } from '../src/contract/api.ts';
import { isFinal, type BuildState } from '../src/contract/phases.ts';
import type { Sighting } from './observations.ts';
import type { StrikePoint } from './schedule.ts';

/** Looks at builds through every manager's API, all the time, and remembers what was said. */
export interface Watch extends AsyncDisposable {
  readonly sightings: readonly Sighting[];
  /** Builds that were at this point when they were last looked at, a moment ago. null: at any. */
  at(point: StrikePoint | null): readonly Build[];
  /** The builds that have been seen, as they were last. */
  readonly builds: ReadonlyMap<string, Build>;
  /** All builds, as one manager lists them now. Fails where it does not answer. */
  list(): Promise<readonly Build[]>;
}

/** How often builds that run are looked at, and how often all of them, in milliseconds. */
const LOOK_MS = 40;
const LIST_MS = 2000;
const ANSWER_WITHIN_MS = 5000;
/** A build that was looked at longer ago may be anywhere by now. */
const FRESH_MS = 300;
const PAGE = 500;

/** Where a build stands, as far as a fault is concerned; null when it waits or has ended. */
export function pointOf({ state, phase }: Pick<Build, 'state' | 'phase'>): StrikePoint | null {
  if (state === 'starting') return 'starting';
  return state === 'running' ? phase : null;
}

/** Starts to look. The managers' APIs are at these URLs, by name. */
export function startWatch(managers: ReadonlyMap<string, string>): Watch {
  const sightings: Sighting[] = [];
  const builds = new Map<string, Build>();
  const seenAt = new Map<string, number>();
  const said = new Map<string, string>();
  const stopping = new AbortController();

  const note = (manager: string, askedAt: number, build: Build): void => {
    const answeredAt = Date.now();
    const { id, state, image_id, ended_at, digests, tries } = build;
    const end = JSON.stringify({ state, image_id, ended_at, digests, tries: tries.length });
    if (askedAt >= (seenAt.get(id) ?? 0)) {
      seenAt.set(id, askedAt);
      builds.set(id, build);
    }
    if (said.get(id) === end) return;
    said.set(id, end);
    sightings.push({ build: id, manager, askedAt, answeredAt, state, end });
  };

  const read = async (manager: string, url: string, state: BuildState | null): Promise<Build[]> => {
    const found: Build[] = [];
    let cursor: string | null = null;
    do {
      const query = new URLSearchParams({
        limit: String(PAGE),
        ...(state === null ? {} : { state }),
        ...(cursor === null ? {} : { cursor }),
      });
      const askedAt = Date.now();
      const signal = AbortSignal.any([AbortSignal.timeout(ANSWER_WITHIN_MS), stopping.signal]);
      const answer = await fetch(`${url}/api/v1/builds?${query.toString()}`, { signal });
      if (!answer.ok) throw new Error(`${manager} answered ${answer.status}`);
      const page = buildListSchema.parse(await answer.json());
      for (const build of page.builds) note(manager, askedAt, build);
      found.push(...page.builds);
      cursor = page.next_cursor;
    } while (cursor !== null);
    return found;
  };

  const repeat = async (everyMs: number, look: () => Promise<unknown>): Promise<void> => {
    while (!stopping.signal.aborted) {
      // A manager that is dead, frozen or without its database says nothing: that is ordinary here.
      await look().catch(() => undefined);
      await wait(everyMs, undefined, { signal: stopping.signal }).catch(() => undefined);
    }
  };
  const loops = [...managers].flatMap(([manager, url]) => [
    repeat(LOOK_MS, () => Promise.all([read(manager, url, 'running'), read(manager, url, 'starting')])),
    repeat(LIST_MS, () => read(manager, url, null)),
  ]);

  return {
    sightings,
    builds,
    at(point) {
      const since = Date.now() - FRESH_MS;
      return [...builds.values()].filter((build) => {
        const at = isFinal(build.state) ? null : pointOf(build);
        return at !== null && (point === null || at === point) && (seenAt.get(build.id) ?? 0) >= since;
      });
    },
    async list() {
      const failures: unknown[] = [];
      for (const [manager, url] of managers) {
        try {
          return await read(manager, url, null);
        } catch (error) {
          failures.push(error);
        }
      }
      throw new AggregateError(failures, 'no manager lists its builds');
    },
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await Promise.all(loops);
    },
  };
}
