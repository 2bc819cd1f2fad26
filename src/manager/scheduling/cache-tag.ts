import type { BuildStore, Claim } from '../../store/index.ts';
import { CACHE_LOOK_BACK_BUILDS, CACHE_TAGS_AT_ONCE, CACHE_TAGS_MAX } from '../limits.ts';
import type { Access, AskedRepository, RegistryClient } from '../registry/client/registry-client.ts';

export interface CacheTagDependencies {
  readonly builds: Pick<BuildStore, 'list'>;
  readonly registries: Pick<RegistryClient, 'ask'>;
  /** Who the build is at its registry. */
  readonly accessOf: (claim: Claim) => Promise<Access>;
  /** Later than that, in milliseconds, there is no tag. */
  readonly withinMs: number;
  readonly logger: { warn(fields: object, message: string): void };
}

/**
 * The tag whose image is most like the one being built (worker contract 0.3, `determinecachetag`), by asking the registry: a tag
 * that is being built anew, else the newest that was built here, else one that the registry lists. `''` when there is none, and
 * when that is not known in time.
 */
export async function findCacheTag(claim: Claim, dependencies: CacheTagDependencies): Promise<string> {
  const { registries, accessOf, withinMs, logger } = dependencies;
  const { id, registry: host, repository } = claim.build;
  const signal = AbortSignal.timeout(withinMs);
  const late = new Promise<null>((resolve) => signal.addEventListener('abort', () => resolve(null)));
  const look = async (): Promise<string | null> => {
    const [access, tags] = await Promise.all([accessOf(claim), tagsOf(claim, dependencies)]);
    const choose = async (asked: AskedRepository): Promise<string> =>
      (await firstThere(asked, tags.wanted)) ?? (tags.isKnown ? '' : newest(await asked.tags()));
    return registries.ask({ host, repository, access }, choose, signal);
  };
  const found = look().catch((error: unknown) => {
    logger.warn(
      { build: id, try: claim.lease.try, err: error },
      'an image for the cache could not be looked for',
    );
    return null;
  });
  return (await Promise.race([found, late])) ?? '';
}

/** The tags to ask for, in this order, and whether any build of the repository is known. */
async function tagsOf(
  { build }: Claim,
  { builds }: CacheTagDependencies,
): Promise<{ wanted: readonly string[]; isKnown: boolean }> {
  const { builds: earlier } = await builds.list(
    { repository: build.repository, state: 'complete' },
    { limit: CACHE_LOOK_BACK_BUILDS },
  );
  const pushed = earlier
    .filter(({ registry }) => registry === build.registry)
    .flatMap(({ tagNames }) => tagNames);
  const wanted = [...new Set([...build.tagNames, ...pushed])].slice(0, CACHE_TAGS_MAX);
  return { wanted, isKnown: pushed.length > 0 };
}

async function firstThere(asked: AskedRepository, tags: readonly string[]): Promise<string | null> {
  for (let from = 0; from < tags.length; from += CACHE_TAGS_AT_ONCE) {
    const some = tags.slice(from, from + CACHE_TAGS_AT_ONCE);
    const there = await Promise.all(some.map((tag) => asked.has(tag)));
    const found = some.find((_tag, index) => there[index]);
    if (found !== undefined) return found;
  }
  return null;
}

/** Registries do not say which tag is the newest: `latest` by its name, else the one with the highest numbers. */
function newest(tags: readonly string[]): string {
  if (tags.includes('latest')) return 'latest';
  const byNumbers = new Intl.Collator('en', { numeric: true });
  return [...tags].sort((a, b) => byNumbers.compare(b, a))[0] ?? '';
}
