import { buildResultSchema, type BuildResult } from '../../contract/build-arguments.ts';
import { buildImage } from './building.ts';
import { type BuildRun, temporaryReference } from './build-run.ts';
import { primeCache } from './caching.ts';
import { demandEntitlementsAllowed, demandNetworkAllowed } from './entitlements.ts';
import { pullBases } from './pulling.ts';
import { pushCache, pushTags, untag } from './pushing.ts';
import { demandPushToAllowed, pushFurther } from './pushing-further.ts';
import { demandSecretsCanBeGiven } from './secrets.ts';
import { unpack } from './unpacking.ts';

/**
 * Walks a build through its phases (contract 0.3, "A build, as phases"):
 *
 *   unpacking ─▶ pulling ─▶ checking-cache ─┬───────────────────┬▶ building ─▶ pushing ─▶ its result
 *                                           └▶ priming-cache ──▶┘
 *
 * Throws what ended it, a BuildError where it is known. Its temporary name is gone from the engine in any case.
 */
export async function walkPhases(run: BuildRun): Promise<BuildResult> {
  await demandSecretsCanBeGiven(run);
  demandNetworkAllowed(run);
  demandPushToAllowed(run);
  const source = await unpack(run);
  await demandEntitlementsAllowed(run, source);
  const pull = await pullBases(run, source);
  const cacheFrom = await primeCache(run, source.base);
  try {
    const imageId = await buildImage(run, source, { cacheFrom, pull });
    // While the engine pushes, which takes longer.
    void run.discardSource();
    const digests = await pushTags(run);
    await pushFurther(run);
    await pushCache(run);
    return resultOf(run, imageId, digests);
  } finally {
    await untag(run, temporaryReference(run.id));
  }
}

function resultOf(run: BuildRun, imageId: string, digests: ReadonlyMap<string, string>): BuildResult {
  const { registry, repository } = run.build;
  const references = [...digests.values()].map((digest) => `${registry}/${repository}@${digest}`);
  return buildResultSchema.parse({
    image_id: imageId,
    digests: [...new Set(references)],
    ...(run.accepted.has('digests-by-tag') ? { digests_by_tag: Object.fromEntries(digests) } : {}),
  });
}
