import { reasonOf } from '../../contract/reason.ts';
import { UNTAG_WITHIN_MS } from '../limits.ts';
import { type BuildRun, temporaryReference } from './build-run.ts';
import { engineFailure, tryThrice } from './failures.ts';

/**
 * Phase `pushing`: tags the image and pushes each tag, and answers with the digest of each. The tags stay on the engine, where
 * their layers make the next build fast; those of a build that fails here are removed.
 */
export async function pushTags(run: BuildRun): Promise<Map<string, string>> {
  const { registry, repository, tag_names: tags } = run.build;
  const name = `${registry}/${repository}`;
  const digests = new Map<string, string>();
  const tagged: string[] = [];
  await run.output.phase('pushing');
  try {
    for (const tag of new Set(tags)) {
      run.signal.throwIfAborted();
      await run.engine.tag(temporaryReference(run.id), name, tag, run.signal).catch((error: unknown) => {
        throw engineFailure(error, 'tagissue');
      });
      tagged.push(`${name}:${tag}`);
      const { digest } = await tryThrice(run, 'pushissue', (call) =>
        run.engine.push(name, tag, run.credentials.forPush, call),
      );
      digests.set(tag, digest);
    }
    return digests;
  } catch (error) {
    for (const reference of tagged) await untag(run, reference);
    throw error;
  }
}

/**
 * Pushes the image as the tags that later builds take it from as cache (`cache_to`), which it can serve as in itself. One that cannot
 * be pushed is told in the log, and fails nothing.
 */
export async function pushCache(run: BuildRun): Promise<void> {
  const { registry, repository, tag_names: tags, cache_to: cacheTags = [] } = run.build;
  const name = `${registry}/${repository}`;
  for (const tag of new Set(cacheTags)) {
    if (tags.includes(tag)) continue;
    try {
      await run.engine.tag(temporaryReference(run.id), name, tag, run.signal);
      await tryThrice(run, 'pushissue', (call) => run.engine.push(name, tag, run.credentials.forPush, call));
    } catch (error) {
      run.signal.throwIfAborted();
      await run.output.message({ status: `${tag} cannot be pushed as cache: ${reasonOf(error)}` });
    } finally {
      await untag(run, `${name}:${tag}`);
    }
  }
}

/** Removes a name from the engine. `false`: it could not, in its time, which the worker's own log tells. */
export async function untag(
  run: Pick<BuildRun, 'engine' | 'clock' | 'logger'>,
  reference: string,
): Promise<boolean> {
  const untagged = Promise.withResolvers<string>();
  const callOff = run.clock.after(UNTAG_WITHIN_MS, () => untagged.resolve('the engine does not answer'));
  run.engine.untag(reference).then(
    () => untagged.resolve(''),
    (error: unknown) => untagged.resolve(reasonOf(error)),
  );
  const reason = await untagged.promise;
  callOff();
  if (reason !== '') run.logger.warn({ reference, reason }, 'a name could not be removed from the engine');
  return reason === '';
}
