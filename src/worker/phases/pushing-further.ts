import { BuildError } from '../../contract/build-errors.ts';
import { readTagReference } from '../../contract/references.ts';
import { type BuildRun, temporaryReference } from './build-run.ts';
import { engineFailure, tryThrice } from './failures.ts';
import { untag } from './pushing.ts';

/**
 * Ends a build with `builderror` that asks to be pushed where this worker lets none. To push an image the engine must know it by
 * the name it is pushed as, and for that moment every build on the engine may find it under that name.
 */
export function demandPushToAllowed({ build, pushTo }: BuildRun): void {
  const refused = build.push_to?.find((reference) => !pushTo.some((place) => isWithin(reference, place)));
  if (refused === undefined) return;
  throw new BuildError(
    'builderror',
    `This build asks to be pushed as ${refused}, and this worker lets no build do that. Its operator may (PUSH_TO).`,
  );
}

function isWithin(reference: string, place: string): boolean {
  return reference.startsWith(`${place}/`) || reference.startsWith(`${place}:`);
}

/** Pushes the image as each of `push_to`, with what the build brought for its registry. The names do not stay on the engine. */
export async function pushFurther(run: BuildRun): Promise<void> {
  for (const reference of new Set(run.build.push_to)) {
    run.signal.throwIfAborted();
    const parts = readTagReference(reference);
    if (parts === null) throw new BuildError('pushissue', `${reference} is no reference.`);
    const name = `${parts.host}/${parts.repository}`;
    try {
      await run.engine
        .tag(temporaryReference(run.id), name, parts.tag, run.signal)
        .catch((error: unknown) => {
          throw engineFailure(error, 'tagissue');
        });
      await tryThrice(run, 'pushissue', (call) =>
        run.engine.push(name, parts.tag, run.credentials.forPushTo(parts.host), call),
      );
    } finally {
      await untag(run, reference);
    }
  }
}
