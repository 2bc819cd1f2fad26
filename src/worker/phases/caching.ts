import { isTag, registryOf } from '../../contract/references.ts';
import type { BaseImage } from '../source/source.ts';
import type { BuildRun } from './build-run.ts';
import { tryThrice } from './failures.ts';
import { isScratch } from './pulling.ts';

/** The id that stands for `scratch`, which no engine has. */
const SCRATCH_ID = '511136ea3c5a64f264b78b5433614aec563103b4d4702f3ba7d4d2698e22c158';

/**
 * Phases `checking-cache` and `priming-cache`: asks the manager which tag's layers may serve, and pulls that image and those
 * that the build names (`cache_from`). Answers with the references that may serve as cache. A cache that cannot be had is skipped (contract 0.3).
 */
export async function primeCache(run: BuildRun, base: BaseImage): Promise<string[]> {
  await run.output.phase('checking-cache');
  const tag = await lookUp(run, base);
  const { registry, repository, cache_from: named = [] } = run.build;
  const found = tag === null ? [] : [`${registry}/${repository}:${tag}`];
  const references = [...new Set([...found, ...named])];
  if (references.length === 0) return [];
  await run.output.phase('priming-cache');
  const primed: string[] = [];
  for (const reference of references) {
    if (await pullForCache(run, reference)) primed.push(reference);
    else if (named.includes(reference)) {
      await run.output.message({ status: `${reference} cannot be pulled: building without its cache` });
    }
  }
  return primed;
}

/** The engine would take one that it has without asking whether this build may pull it: only what was pulled just now is told to it. */
async function pullForCache(run: BuildRun, reference: string): Promise<boolean> {
  const { registry, repository, platform } = run.build;
  const credentials = reference.startsWith(`${registry}/${repository}:`)
    ? run.credentials.forCache
    : run.credentials.forPull(registryOf(reference));
  try {
    await tryThrice(run, 'cannotpullforcache', (call) =>
      run.engine.pull(reference, credentials, call, platform),
    );
    return true;
  } catch (error) {
    skip(run, error);
    return false;
  }
}

async function lookUp(run: BuildRun, base: BaseImage): Promise<string | null> {
  try {
    const image = isScratch(base) ? null : await run.engine.inspect(base.reference, run.signal);
    const tag = await run.determineCacheTag({
      command_comments: '',
      base_image_name: base.name,
      base_image_tag: base.tag,
      base_image_id: isScratch(base) ? SCRATCH_ID : (image?.imageId ?? ''),
    });
    return typeof tag === 'string' && isTag(tag) ? tag : null;
  } catch (error) {
    skip(run, error);
    return null;
  }
}

function skip(run: BuildRun, error: unknown): void {
  run.signal.throwIfAborted();
  run.logger.warn({ reason: error instanceof Error ? error.message : 'unknown' }, 'building without a cache');
}
