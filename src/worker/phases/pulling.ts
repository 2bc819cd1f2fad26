import type { BaseImage, FetchedSource } from '../source/source.ts';
import type { BuildRun } from './build-run.ts';
import { tryThrice } from './failures.ts';
import { demandPlatform } from './platform.ts';

const SCRATCH = 'scratch';

/**
 * Phase `pulling`: pulls every image that the Dockerfile takes from, each as who this build is at its host. One that is on the
 * engine is asked for too: another build may have been allowed to pull it, and this one not. `scratch`, and a base whose name only the
 * engine can read, are only announced.
 */
export async function pullBases(run: BuildRun, { base, images }: FetchedSource): Promise<void> {
  const credentials = run.credentials.forPull(base.registry);
  await run.output.phase('pulling', {
    registry: isScratch(base) ? run.build.registry : base.registry,
    base_image: base.name,
    base_image_tag: base.tag,
    pull_username: isScratch(base) ? '' : (credentials?.username ?? ''),
  });
  for (const image of images) {
    const built = run.build.platform ?? '';
    const platform = image.platform ?? built;
    await tryThrice(run, 'cannotpullbaseimage', (call) =>
      run.engine.pull(image.reference, run.credentials.forPull(image.registry), call, platform),
    );
    if (built !== '' && platform !== '') await demandPlatform(run, image.reference, platform);
  }
}

export function isScratch(image: BaseImage): boolean {
  return image.reference === SCRATCH;
}
