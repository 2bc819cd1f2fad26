import { createHmac } from 'node:crypto';
import type { Logger } from 'pino';
import { createMasker, secretsOf } from '../contract/masking.ts';
import {
  buildArgumentsSchema,
  withoutExtensions,
  type BuildArguments,
  type BuildResult,
} from '../contract/build-arguments.ts';
import { BuildError, buildErrorUri } from '../contract/build-errors.ts';
import { managerProcedures } from '../contract/uris.ts';
import type { Clock } from './clock.ts';
import type { Disk } from './disk/disk.ts';
import type { Engine } from './engine/engine.ts';
import { BASE_ERROR_MAX, DESCRIBE_WITHIN_MS } from './limits.ts';
import { createBatchLog } from './link/batch-log.ts';
import type { BuildLogOptions } from './link/build-log.ts';
import { createLineLog } from './link/line-log.ts';
import type { Answer, RealmSession } from './link/session.ts';
import { temporaryReference } from './phases/build-run.ts';
import { credentialsOf } from './phases/credentials.ts';
import { createBuildOutput } from './phases/output.ts';
import { untag } from './phases/pushing.ts';
import { walkPhases } from './phases/walk.ts';
import { reasonOf } from './reason.ts';
import type { SecretKeeper } from './secrets.ts';
import type { FetchSource } from './source/source.ts';
import { isSystemError } from './source/system-error.ts';
import type { WorkDirectory } from './work-directory.ts';

/** What a slot builds with. One build at a time. */
export interface Builder {
  /** Answers an invocation of `io.quay.builder.build`, also a wrong one; never throws. */
  build(session: RealmSession, kwargs: unknown): Promise<Answer>;
  readonly busy: boolean;
  /** Why it could not build now, or null: its engine does not answer, or a disk is full. */
  examine(): Promise<string | null>;
  /** Refuses what comes from now on. */
  close(): void;
  /** Stops the build that runs, which ends with this error, and resolves when it has left nothing behind. */
  stop(error: BuildError): Promise<void>;
  /** Resolves when no build runs. */
  idle(): Promise<void>;
}

export interface BuilderOptions {
  readonly engine: Engine;
  readonly disk: Disk;
  readonly fetchSource: FetchSource;
  readonly workDirectory: WorkDirectory;
  /** Whether images are labelled with where they come from, unless a build says otherwise. */
  readonly ociLabels: boolean;
  readonly secrets: SecretKeeper;
  readonly clock: Clock;
  /** A name that no other build has: lower-case letters, digits and dashes. */
  readonly newId: () => string;
  readonly logger: Logger;
}

interface Running {
  readonly controller: AbortController;
  readonly done: Promise<Answer>;
}

export function createBuilder(options: BuilderOptions): Builder {
  let running: Running | null = null;
  let closed = false;
  return {
    get busy() {
      return running !== null;
    },
    examine: async () => {
      try {
        await options.engine.describe(AbortSignal.timeout(DESCRIBE_WITHIN_MS));
        return await options.disk.examine();
      } catch (error) {
        return `the engine does not answer: ${reasonOf(error)}`;
      }
    },
    close: () => void (closed = true),
    build: async (session, kwargs) => {
      if (running) return failed('internalerror', 'This worker is busy with another build.');
      if (closed) return failed('internalerror', 'This worker is leaving.');
      const controller = new AbortController();
      const done = answer(options, session, kwargs, controller).catch((error: unknown) => {
        options.logger.error({ err: error }, 'an invocation failed in a way that is not known');
        return failed('internalerror', 'The worker met an error that it does not know.');
      });
      running = { controller, done };
      try {
        return await done;
      } finally {
        running = null;
      }
    },
    stop: async (error) => {
      running?.controller.abort(error);
      await running?.done;
    },
    idle: async () => {
      await running?.done;
    },
  };
}

/** Removes what killed workers of the same name left on disk and on the engine. */
export async function clearLeftovers({
  engine,
  workDirectory,
  clock,
  logger,
}: Pick<BuilderOptions, 'engine' | 'workDirectory' | 'clock' | 'logger'>): Promise<void> {
  for (const build of await workDirectory.leftovers()) {
    logger.info({ build }, 'removing what a killed worker left');
    try {
      // What the engine still has is looked for by its folder at the next start.
      if (await untag({ engine, clock, logger }, temporaryReference(build)))
        await workDirectory.remove(build);
    } catch (error) {
      logger.warn({ build, reason: reasonOf(error) }, 'it could not be removed; the next start tries again');
    }
  }
}

function failed(code: BuildError['code'], baseError: string): Answer {
  return { error: buildErrorUri(code), kwargs: { base_error: baseError } };
}

async function answer(
  options: BuilderOptions,
  session: RealmSession,
  kwargs: unknown,
  controller: AbortController,
): Promise<Answer> {
  const parsed = buildArgumentsSchema.safeParse(kwargs);
  if (!parsed.success) {
    // Names and rules only: a value may be a secret.
    const wrong = parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
    return failed('missingorinvalidargument', wrong.join('; '));
  }
  const build = withoutExtensions(parsed.data, session.accepted);
  if (build.build_package === '' && !build.git) {
    return failed('missingorinvalidargument', 'build_package or git: one of them is needed');
  }
  const id = options.newId();
  const values = secretsOf(build);
  const masker = createMasker(values);
  const release = options.secrets.keep(values);
  const logger = options.logger.child({ build: id, repository: build.repository, registry: build.registry });
  const began = options.clock.now();
  logger.info({ tags: build.tag_names }, 'build begins');
  try {
    const result = await run(options, session, build, { id, masker, logger, controller });
    logger.info({ ms: options.clock.now() - began, digests: result.digests }, 'build complete');
    return { kwargs: result };
  } catch (caught) {
    const error: unknown = controller.signal.aborted ? controller.signal.reason : caught;
    if (!(error instanceof BuildError)) {
      logger.error({ err: error }, 'build failed in a way that is not known');
      return failed(
        'internalerror',
        `The worker met an error that it does not know; its log has it as build ${id}.`,
      );
    }
    const baseError = masker.mask(error.message).slice(-BASE_ERROR_MAX);
    logger.warn({ ms: options.clock.now() - began, code: error.code, reason: baseError }, 'build failed');
    return failed(error.code, baseError);
  } finally {
    release();
  }
}

interface RunOptions {
  readonly id: string;
  readonly masker: ReturnType<typeof createMasker>;
  readonly logger: Logger;
  readonly controller: AbortController;
}

async function run(
  { disk, fetchSource, workDirectory, ociLabels, clock }: BuilderOptions,
  session: RealmSession,
  build: BuildArguments,
  { id, masker, logger, controller }: RunOptions,
): Promise<BuildResult> {
  const logOptions: BuildLogOptions = {
    session,
    clock,
    onCancelled: () =>
      controller.abort(new BuildError('clientrejectedtransition', 'The build was cancelled.')),
    onLoss: (messages, error) => logger.warn({ messages, reason: reasonOf(error) }, 'log lines were lost'),
  };
  const log = session.accepted.has('log-batch') ? createBatchLog(logOptions) : createLineLog(logOptions);
  const output = createBuildOutput(log, masker, clock);
  const use = disk.begin(id);
  try {
    return await walkPhases({
      id,
      build,
      accepted: session.accepted,
      credentials: credentialsOf(build, session.accepted),
      directory: await makeFolder(workDirectory, id),
      sharedKey: createHmac('sha256', workDirectory.key)
        .update(`${build.registry}/${build.repository}`)
        .digest('hex'),
      ociLabels,
      engine: use.engine,
      fetchSource,
      output,
      determineCacheTag: (kwargs) => session.call(managerProcedures.determineCacheTag, kwargs),
      signal: controller.signal,
      clock,
      logger,
    });
  } finally {
    await workDirectory.remove(id).catch((error: unknown) => {
      logger.warn({ reason: reasonOf(error) }, 'the folder of the build could not be removed');
    });
    await use.end();
    // The last lines say why it failed; a manager that is gone has its calls rejected, so this ends.
    await output.end();
  }
}

async function makeFolder(workDirectory: WorkDirectory, id: string): Promise<string> {
  try {
    return await workDirectory.create(id);
  } catch (error) {
    if (!isSystemError(error)) throw error;
    const why = error.code ?? 'unknown error';
    throw new BuildError('internalerror', `The worker could not make the folder of the build (${why}).`, {
      cause: error,
    });
  }
}
