import { BuildError } from '../../contract/build-errors.ts';
import type { BuildRun } from './build-run.ts';
import { engineFailure } from './failures.ts';

/**
 * Ends a build whose secrets or ssh keys this engine cannot give to a step with `builderror`, before anything is fetched or pulled for it.
 */
export async function demandSecretsCanBeGiven(run: BuildRun): Promise<void> {
  const { secrets = {}, ssh = {} } = run.build;
  if ([secrets, ssh].every((each) => Object.keys(each).length === 0)) return;
  const { name, builder } = await run.engine.describe(run.signal).catch((error: unknown) => {
    throw engineFailure(error, 'buildrunerror');
  });
  if (builder === 'buildkit') return;
  throw new BuildError(
    'builderror',
    `This build has ${Object.keys(secrets).length > 0 ? 'secrets' : 'ssh keys'}, which only BuildKit can give to a step; the engine of this worker, ${name}, builds with the classic builder.`,
  );
}
