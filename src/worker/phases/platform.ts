import { BuildError } from '../../contract/build-errors.ts';
import type { BuildRun } from './build-run.ts';
import { engineFailure } from './failures.ts';

/**
 * Throws a BuildError `cannotpullbaseimage` when a base that was pulled is for another platform than it was asked for, of which engines
 * say nothing: they take the only one that it has.
 */
export async function demandPlatform(run: BuildRun, reference: string, wanted: string): Promise<void> {
  const image = await run.engine.inspect(reference, run.signal).catch((error: unknown) => {
    throw engineFailure(error, 'buildrunerror');
  });
  if (image === null || isSame(image.platform, wanted)) return;
  throw new BuildError(
    'cannotpullbaseimage',
    `The base image ${reference} is for ${image.platform}, and the build is for ${wanted}.`,
  );
}

/** As far as images tell: many leave the variant out. */
function isSame(platform: string, wanted: string): boolean {
  const [os, architecture] = wanted.split('/');
  const [imageOs, imageArchitecture] = platform.split('/');
  return os === imageOs && architecture === imageArchitecture;
}
