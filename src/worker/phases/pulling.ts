import type { BaseImage, FetchedSource } from '../source/source.ts';
import type { BuildRun } from './build-run.ts';
import { tryThrice } from './failures.ts';

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
    await tryThrice(run, 'cannotpullbaseimage', (call) =>
      run.engine.pull(image.reference, run.credentials.forPull(image.registry), call),
    );
  }
}

export function isScratch(image: BaseImage): boolean {
  return image.reference === SCRATCH;
}
