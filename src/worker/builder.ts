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
import { reasonOf } from '../contract/reason.ts';
import type { Clock } from './clock.ts';
import type { Disk } from './disk/disk.ts';
import { EngineError, type Engine } from './engine/engine.ts';
import { BASE_ERROR_MAX, DESCRIBE_WITHIN_MS } from './limits.ts';
import { createBatchLog } from './link/batch-log.ts';
import {
  type BuildLink,
  createResumableLink,
  createSessionLink,
  isResumable,
  type ResumableLink,
} from './link/build-link.ts';
import type { BuildLogOptions } from './link/build-log.ts';
import type { ForsakenTries } from './link/enlisting.ts';
import { createLineLog } from './link/line-log.ts';
import { createLogSpool } from './link/log-spool.ts';
import { createLosses } from './link/losses.ts';
import { reportResult } from './link/report-result.ts';
import { type Answer, LinkError, type RealmSession } from './link/session.ts';
import { temporaryReference } from './phases/build-run.ts';
import { credentialsOf } from './phases/credentials.ts';
import { createBuildOutput } from './phases/output.ts';
import { untag } from './phases/pushing.ts';
import { walkPhases } from './phases/walk.ts';
import type { SecretKeeper } from './secrets.ts';
import type { Entitlement } from './entitlements.ts';
import type { FetchSource } from './source/source.ts';
import { isSystemError } from './source/system-error.ts';
import type { WorkDirectory } from './work-directory.ts';

/** What a slot builds with. One build at a time. */
export interface Builder {
  /** Answers an invocation of `io.quay.builder.build`, also a wrong one; never throws. */
  build(session: RealmSession, kwargs: unknown): Promise<Answer>;
  readonly busy: boolean;
  /** The way to the manager of the build that runs, where it outlives its connection. */
  readonly link: ResumableLink | null;
  /** Why it could not build now, or null: its engine does not answer or lacks the builder that was asked for, or a disk is full. */
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
  /** What the steps of builds may have beyond the usual, by BuildKit's names. */
  readonly entitlements: ReadonlySet<Entitlement>;
  /** Where builds may push besides their own repository. */
  readonly pushTo: readonly string[];
  readonly secrets: SecretKeeper;
  /** How much of a build's log may wait on disk while its manager is away, in bytes. */
  readonly logSpoolMaxBytes: number;
  readonly clock: Clock;
  /** A name that no other build has: lower-case letters, digits and dashes. */
  readonly newId: () => string;
  readonly logger: Logger;
}

interface Running {
  readonly controller: AbortController;
  readonly link: ResumableLink | null;
  readonly fate: Fate;
  readonly done: Promise<Answer>;
}

interface Fate {
  /** It was stopped while its manager was away: the next start of the worker tells that nobody goes on with it. */
  isForsaken: boolean;
}

export function createBuilder(options: BuilderOptions): Builder {
  let running: Running | null = null;
  let closed = false;
  return {
    get busy() {
      return running !== null;
    },
    get link() {
      return running?.link ?? null;
    },
    examine: async () => {
      try {
        await options.engine.describe(AbortSignal.timeout(DESCRIBE_WITHIN_MS));
        return await options.disk.examine();
      } catch (error) {
        if (error instanceof EngineError && error.kind === 'lacking') return error.message;
        return `the engine does not answer: ${reasonOf(error)}`;
      }
    },
    close: () => void (closed = true),
    build: async (session, kwargs) => {
      if (running) return failed('internalerror', 'This worker is busy with another build.');
      if (closed) return failed('internalerror', 'This worker is leaving.');
      const controller = new AbortController();
      const build = readArguments(session, kwargs);
      if ('error' in build) return build;
      const link = linkOf(session, build);
      const fate = { isForsaken: false };
      const done = answer(options, link ?? createSessionLink(session), build, { controller, fate }).catch(
        (error: unknown) => {
          options.logger.error({ err: error }, 'an invocation failed in a way that is not known');
          return failed('internalerror', 'The worker met an unexpected error.');
        },
      );
      running = { controller, link, fate, done };
      try {
        return await done;
      } finally {
        running = null;
      }
    },
    stop: async (error) => {
      running?.controller.abort(error);
      // Nobody is there to be told.
      if (running?.link?.isAway && !running.link.isOver) {
        running.fate.isForsaken = true;
        running.link.end(new LinkError('the build was stopped'));
      }
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
  forsaken,
  clock,
  logger,
}: Pick<BuilderOptions, 'engine' | 'workDirectory' | 'clock' | 'logger'> & {
  readonly forsaken: ForsakenTries;
}): Promise<void> {
  for (const build of await workDirectory.leftovers()) {
    logger.info({ build }, 'removing what a killed worker left');
    const lease = await workDirectory.leaseOf(build);
    if (lease) forsaken.add(lease);
    try {
      // What the engine still has is looked for by its folder at the next start.
      if (await untag({ engine, clock, logger }, temporaryReference(build)))
        await workDirectory.remove(build);
    } catch (error) {
      logger.warn({ build, reason: reasonOf(error) }, 'it could not be removed; the next start tries again');
    }
  }
}

function failed(code: BuildError['code'], baseError: string): Required<Answer> {
  return { error: buildErrorUri(code), kwargs: { base_error: baseError } };
}

/** What to build; or what is wrong with it. */
function readArguments(session: RealmSession, kwargs: unknown): BuildArguments | Required<Answer> {
  const parsed = buildArgumentsSchema.safeParse(withoutExtensions(kwargs, session.accepted));
  if (!parsed.success) {
    // Names and rules only: a value may be a secret.
    const wrong = parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
    return failed('missingorinvalidargument', wrong.join('; '));
  }
  const build = parsed.data;
  return build.build_package === '' && !build.git
    ? failed('missingorinvalidargument', 'build_package or git: one of them is needed')
    : build;
}

/** The way to the manager of a build that the worker may come back with. */
function linkOf(session: RealmSession, { lease }: BuildArguments): ResumableLink | null {
  if (!lease) return null;
  const { build, try: number, token, grace_seconds } = lease;
  return createResumableLink(session, { build, try: number, lease_token: token }, grace_seconds * 1000);
}

async function answer(
  options: BuilderOptions,
  link: BuildLink,
  build: BuildArguments,
  { controller, fate }: { readonly controller: AbortController; readonly fate: Readonly<Fate> },
): Promise<Answer> {
  const id = options.newId();
  const values = secretsOf(build);
  const masker = createMasker(values);
  const release = options.secrets.keep(values);
  const logger = options.logger.child({ build: id, repository: build.repository, registry: build.registry });
  try {
    const ended = await runToAnswer(options, link, build, { id, masker, logger, controller });
    if (isResumable(link)) await reportResult(link, ended, options.clock, logger);
    return ended;
  } finally {
    // What was fetched is gone already: what stays is which try it was.
    if (!fate.isForsaken) {
      await options.workDirectory.remove(id).catch((error: unknown) => {
        logger.warn({ reason: reasonOf(error) }, 'the folder of the build could not be removed');
      });
    }
    release();
  }
}

async function runToAnswer(
  options: BuilderOptions,
  link: BuildLink,
  build: BuildArguments,
  runOptions: RunOptions,
): Promise<Answer> {
  const { id, masker, logger, controller } = runOptions;
  const began = options.clock.now();
  logger.info({ tags: build.tag_names }, 'build begins');
  try {
    const result = await run(options, link, build, runOptions);
    logger.info({ ms: options.clock.now() - began, digests: result.digests }, 'build complete');
    return { kwargs: result };
  } catch (caught) {
    const error: unknown = controller.signal.aborted ? controller.signal.reason : caught;
    if (!(error instanceof BuildError)) {
      logger.error({ err: error }, 'build failed in a way that is not known');
      return failed('internalerror', `The worker met an unexpected error; its log has it as build ${id}.`);
    }
    const baseError = masker.mask(error.message).slice(-BASE_ERROR_MAX);
    logger.warn({ ms: options.clock.now() - began, code: error.code, reason: baseError }, 'build failed');
    return failed(error.code, baseError);
  }
}

interface RunOptions {
  readonly id: string;
  readonly masker: ReturnType<typeof createMasker>;
  readonly logger: Logger;
  readonly controller: AbortController;
}

async function run(
  {
    disk,
    fetchSource,
    workDirectory,
    ociLabels,
    entitlements,
    pushTo,
    logSpoolMaxBytes,
    clock,
  }: BuilderOptions,
  link: BuildLink,
  build: BuildArguments,
  { id, masker, logger, controller }: RunOptions,
): Promise<BuildResult> {
  const losses = createLosses(clock, (messages, error) =>
    logger.warn({ messages, reason: reasonOf(error) }, 'log lines were lost'),
  );
  const logOptions: BuildLogOptions = {
    link,
    clock,
    spool: isResumable(link) ? createLogSpool(workDirectory.logSpoolOf(id), logSpoolMaxBytes) : null,
    onRefused: (error) => controller.abort(error),
    onLoss: (messages, error) => losses.add(messages, error),
  };
  const log = link.accepted.has('log-batch') ? createBatchLog(logOptions) : createLineLog(logOptions);
  const output = createBuildOutput(log, masker, clock);
  const use = disk.begin(id);
  const callOffTimeout = startTimeout(build, controller, clock);
  let discarded: Promise<void> | null = null;
  const discardSource = (): Promise<void> =>
    (discarded ??= workDirectory.removeContent(id).catch((error: unknown) => {
      logger.warn({ reason: reasonOf(error) }, 'what the build fetched could not be removed');
    }));
  try {
    return await walkPhases({
      id,
      build,
      accepted: link.accepted,
      credentials: credentialsOf(build, link.accepted),
      directory: await makeFolder(workDirectory, id, link),
      sharedKey: createHmac('sha256', workDirectory.key)
        .update(`${build.registry}/${build.repository}`)
        .digest('hex'),
      ociLabels,
      entitlements,
      pushTo,
      engine: use.engine,
      fetchSource,
      discardSource,
      output,
      determineCacheTag: (kwargs) => link.call(managerProcedures.determineCacheTag, kwargs),
      signal: controller.signal,
      clock,
      logger,
    });
  } finally {
    callOffTimeout();
    // The last lines say why it failed; a manager that is gone has its calls rejected, so the log ends.
    await Promise.all([discardSource(), use.end(), output.end()]);
    losses.end();
  }
}

async function makeFolder(workDirectory: WorkDirectory, id: string, link: BuildLink): Promise<string> {
  try {
    const content = await workDirectory.create(id);
    if (isResumable(link)) await workDirectory.keepLease(id, link.lease);
    return content;
  } catch (error) {
    if (!isSystemError(error)) throw error;
    const why = error.code ?? 'unknown error';
    throw new BuildError('internalerror', `The worker could not make the folder of the build (${why}).`, {
      cause: error,
    });
  }
}

/** Stops the build when it takes longer than it may. */
function startTimeout({ timeout }: BuildArguments, controller: AbortController, clock: Clock): () => void {
  if (timeout === undefined) return () => undefined;
  const words = `The build took longer than ${timeout} s, which is its limit (timeout), and was stopped.`;
  return clock.after(timeout * 1000, () => controller.abort(new BuildError('builderror', words)));
}
