import type { FetchedSource } from '../source/source.ts';
import { type BuildRun, engineCall } from './build-run.ts';

/** Phase `unpacking`: gets the package or the commit, and reads its Dockerfile. */
export async function unpack(run: BuildRun): Promise<FetchedSource> {
  await run.output.phase('unpacking');
  return run.fetchSource(run.build, { ...engineCall(run), directory: run.directory });
}
