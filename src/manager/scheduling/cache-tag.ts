import type { BuildRow, BuildStore } from '../../store/index.ts';
import { CACHE_LOOK_BACK_BUILDS } from '../limits.ts';

/**
 * The tag whose image is most like the one being built (worker contract 0.3, `determinecachetag`): one that is being built
 * anew, else the newest of the repository; `''` when none of the last builds there was pushed by us.
 */
export async function findCacheTag(builds: Pick<BuildStore, 'list'>, build: BuildRow): Promise<string> {
  const { builds: earlier } = await builds.list(
    { repository: build.repository, state: 'complete' },
    { limit: CACHE_LOOK_BACK_BUILDS },
  );
  const pushed = earlier
    .filter(({ registry }) => registry === build.registry)
    .flatMap(({ tagNames }) => tagNames);
  return build.tagNames.find((tag) => pushed.includes(tag)) ?? pushed[0] ?? '';
}
