import { type Engine, type ImageBuild, type RegistryCredentials } from '../../../src/worker/engine/engine.ts';
import type { BaseImage, FetchedSource } from '../../../src/worker/source/source.ts';
import type { Clock } from '../../../src/worker/clock.ts';
import { DIGEST, calmEngine, fastClock, scratchSource, someBuild, startWorker } from '../harness.ts';
import { LOG, type Behaviour, type BuildAnswer, startTestManager } from '../test-manager.ts';

/** One build of a worker, under a manager of the test's own and with an engine that says what the test wants. */

/** The registry of the build. */
export const OWN = someBuild.registry;

/** An image as a source names it. */
export function image(registry: string, name: string, tag = 'latest'): BaseImage {
  return { reference: `${name}:${tag}`, registry, name, tag };
}

interface Story extends BuildAnswer {
  /** `json_data` of each log call. */
  readonly log: readonly string[];
  readonly cacheQuestions: readonly unknown[];
}

/** Runs one build, and tells what came of it. */
export async function build(
  parts: Partial<Engine>,
  {
    kwargs = {},
    source = {},
    behaviour = {},
    clock = fastClock,
  }: { kwargs?: object; source?: Partial<FetchedSource>; behaviour?: Behaviour; clock?: Clock } = {},
): Promise<Story> {
  await using manager = await startTestManager(behaviour);
  await using worker = await startWorker({
    manager,
    clock,
    engine: calmEngine(parts),
    fetchSource: () => Promise.resolve({ ...scratchSource, ...source }),
  });
  const connection = await manager.connection();
  await worker.logged('worker is ready');
  const answer = await connection.build({ ...someBuild, ...kwargs });
  return {
    ...answer,
    log: connection.calls(LOG).map(({ json_data: data }) => String(data)),
    cacheQuestions: connection.calls('io.quay.buildworker.determinecachetag'),
  };
}

/** An engine that notes who pulls and pushes what. */
export function notingEngine(): {
  engine: Partial<Engine>;
  pulls: [string, RegistryCredentials | null][];
  pushes: unknown[];
  builds: ImageBuild[];
} {
  const pulls: [string, RegistryCredentials | null][] = [];
  const pushes: unknown[] = [];
  const builds: ImageBuild[] = [];
  return {
    pulls,
    pushes,
    builds,
    engine: {
      pull: (reference, credentials) => {
        pulls.push([reference, credentials]);
        return Promise.resolve();
      },
      push: (repository, tag, credentials) => {
        pushes.push([repository, tag, credentials]);
        return Promise.resolve({ digest: DIGEST });
      },
      build: (each) => {
        builds.push(each);
        return Promise.resolve({ imageId: 'sha256:image' });
      },
    },
  };
}

/** A source whose first base this is. */
export const withBase = (base: BaseImage, ...others: BaseImage[]): Partial<FetchedSource> => ({
  base,
  images: [base, ...others],
});
