import type { BaseImage, FetchedSource } from '../source/source.ts';
import type { BuildRun } from './build-run.ts';
import { countFrom } from '../source/dockerfile/more-images.ts';
import { engineFailure, tryThrice } from './failures.ts';
import { demandPlatform } from './platform.ts';

const SCRATCH = 'scratch';

/**
 * Phase `pulling`: pulls every image that the Dockerfile takes from, each as who this build is at its host. One that is on the
 * engine is asked for too: another build may have been allowed to pull it, and this one not. `scratch`, and a base whose name only the
 * engine can read, are only announced. Answers whether the engine must ask the registries itself: for images that were not pulled here.
 */
export async function pullBases(
  run: BuildRun,
  { base, images, uncertain, mayNameMore }: FetchedSource,
): Promise<boolean> {
  const credentials = run.credentials.forPull(base.registry);
  await run.output.phase('pulling', {
    registry: isScratch(base) ? run.build.registry : base.registry,
    base_image: base.name,
    base_image_tag: base.tag,
    pull_username: isScratch(base) ? '' : (credentials?.username ?? ''),
  });
  let mustAsk = uncertain || mayNameMore;
  for (const image of images) {
    const built = run.build.platform ?? '';
    const platform = image.platform ?? built;
    await tryThrice(run, 'cannotpullbaseimage', (call) =>
      run.engine.pull(image.reference, run.credentials.forPull(image.registry), call, platform),
    );
    if (built !== '' && platform !== '') await demandPlatform(run, image.reference, platform);
    mustAsk ||= await mayTakeFromMore(run, image.reference);
  }
  return mustAsk;
}

/** Whether what an image has its heirs do may take from further ones. */
async function mayTakeFromMore(run: BuildRun, reference: string): Promise<boolean> {
  const triggers = await run.engine.triggers(reference, run.signal).catch((error: unknown) => {
    throw engineFailure(error, 'buildrunerror');
  });
  return triggers === null || triggers.some((trigger) => countFrom(trigger) > 0);
}

export function isScratch(image: BaseImage): boolean {
  return image.reference === SCRATCH;
}
