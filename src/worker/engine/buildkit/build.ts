import { createHash } from 'node:crypto';
import { basename, dirname } from 'node:path';
import { z } from 'zod';
import { reasonOf } from '../../../contract/reason.ts';
import { EngineError, type EngineCall, type ImageBuild } from '../engine.ts';
import { isDockerfileError, registryErrorKind, stepError } from '../errors.ts';
import { optionsQuery } from '../options-query.ts';
import { ENOUGH, errorOf, followMessages, logMessageOf } from '../messages.ts';
import type { Transport } from '../transport.ts';
import { authService } from './auth.ts';
import { fileSyncService } from './file-sync.ts';
import { demandAllowedFrontend, type AllowedFrontends } from './frontend.ts';
import { healthService } from './health.ts';
import { createBuildProgress, type BuildProgress } from './progress.ts';
import { statusResponse, type StatusResponse } from './protobuf.ts';
import { secretsService } from './secrets.ts';
import { openSession } from './session.ts';
import { watchSilence } from './silence.ts';
import { sshService } from './ssh.ts';

const NO_LIMITS =
  "This build has limits of memory or CPUs, which the engine's BuildKit does not keep: its steps run without them.";

/** A build with very many COPY lines can fail so, whoever the client is; the next time it works. */
const LOST_ITSELF = 'flightcontrol: exceeded retry timeout';

/** Builds with BuildKit, which fetches from us what it has not got. Null when the engine has no BuildKit. */
export async function buildWithBuildKit(
  transport: Transport,
  build: ImageBuild,
  call: EngineCall,
  frontends: AllowedFrontends,
): Promise<{ imageId: string } | null> {
  try {
    return await buildOnce(transport, build, call, frontends);
  } catch (error) {
    if (!(error instanceof EngineError) || !error.message.includes(LOST_ITSELF)) throw error;
    await call.onMessage({
      stream: 'The engine could not finish (flightcontrol). The build begins again.\n',
    });
    return buildOnce(transport, build, call, frontends);
  }
}

async function buildOnce(
  transport: Transport,
  build: ImageBuild,
  call: EngineCall,
  frontends: AllowedFrontends,
): Promise<{ imageId: string } | null> {
  const session = await openSession(transport, {
    sharedKey: build.sharedKey,
    handlers: new Map([
      ...healthService,
      ...authService(build.credentials),
      ...secretsService(build.secrets),
      ...sshService(build.sshAgents),
      ...fileSyncService(
        new Map([
          ['context', build.contextDirectory],
          // A place of its own, so that the Dockerfile may lie outside of the context.
          ['dockerfile', dirname(build.dockerfile)],
        ]),
      ),
    ]),
    signal: call.signal,
  });
  if (!session) return null;
  try {
    await demandAllowedFrontend(build, frontends);
    if (Object.keys(build.limits).length > 0) await call.onMessage({ status: NO_LIMITS });
    const response = await transport.request(
      { method: 'POST', path: `/build?${queryOf(build, session.id)}`, signal: call.signal },
      (status, message) =>
        new EngineError(
          isDockerfileError(message) ? 'dockerfile' : status < 500 ? 'refused' : 'failed',
          message,
        ),
    );
    return { imageId: await followBuild(response, call) };
  } finally {
    session.close();
  }
}

function queryOf(build: ImageBuild, session: string): string {
  return new URLSearchParams({
    version: '2',
    remote: 'client-session',
    session,
    t: build.reference,
    dockerfile: basename(build.dockerfile),
    rm: '1',
    forcerm: '1',
    ...(build.pull ? { pull: '1' } : {}),
    ...(build.cacheFrom.length > 0 ? { cachefrom: JSON.stringify(build.cacheFrom) } : {}),
    ...optionsQuery(build),
    ...(hasSecrets(build) ? { extrahosts: `${keyFor('steps', build)}.invalid:127.0.0.1` } : {}),
    buildargs: JSON.stringify({
      ...build.buildArgs,
      // These come last, so that nobody sets them otherwise.
      // What is pushed can prime the next build's cache.
      BUILDKIT_INLINE_CACHE: '1',
      // Cache mounts are the engine's, by an id of the Dockerfile's choice: this keeps one tenant's from another's.
      BUILDKIT_CACHE_MOUNT_NS: keyFor('cache mounts', build),
    }),
  }).toString();
}

/**
 * BuildKit takes a step for the same whatever secret it is given: a build joins another's that runs, and has the cache of what that
 * fetched. A name in the steps' `/etc/hosts`, which no image has, makes those of each tenant their own.
 */
function hasSecrets({ secrets, sshAgents }: ImageBuild): boolean {
  return secrets.size > 0 || sshAgents.size > 0;
}

/** Tells one tenant's from another's, and says nothing of who they are. */
function keyFor(what: string, { sharedKey }: ImageBuild): string {
  return createHash('sha256').update(`${what}\0${sharedKey}`).digest('hex').slice(0, 48);
}

const reportSchema = z.string();
const imageIdSchema = z.object({ ID: z.string().min(1) });

async function followBuild(response: AsyncIterable<Buffer>, call: EngineCall): Promise<string> {
  const progress = createBuildProgress();
  const silence = watchSilence();
  const show = async (messages: ReturnType<BuildProgress['read']>): Promise<void> => {
    for (const message of messages) await call.onMessage(message);
  };
  const built: { imageId: string | null } = { imageId: null };
  await followMessages(response, call, async (message) => {
    const error = errorOf(message);
    if (error !== null) {
      await show(progress.end());
      throw buildError(error, progress);
    }
    if (message.id === 'moby.buildkit.trace') {
      const report = decodeReport(message.aux);
      await show([...progress.read(report), ...(await silence.heard(report, call.signal))]);
    }
    if (message.id === 'moby.image.id') {
      built.imageId = imageIdSchema.safeParse(message.aux).data?.ID ?? built.imageId;
    }
    const line = logMessageOf(message);
    if (line) await call.onMessage(line);
    return silence.isSilent && built.imageId !== null ? ENOUGH : undefined;
  });
  await show(progress.end());
  if (built.imageId === null) throw new EngineError('failed', 'The engine ended the build without a result.');
  return built.imageId;
}

function decodeReport(aux: unknown): StatusResponse {
  try {
    return statusResponse.decode(Buffer.from(reportSchema.parse(aux), 'base64'));
  } catch (error) {
    throw new EngineError(
      'failed',
      `The engine sent a report of its build that cannot be read: ${reasonOf(error)}`,
      {
        cause: error,
      },
    );
  }
}

/** What the engine puts before the words that matter, as `docker build` leaves it out. */
const WRAPPING =
  /^(?:failed to solve(?: with frontend \S+)?: |rpc error: code = \w+ desc = |failed to build LLB: |failed to create LLB definition: |failed to load cache key: )+/;

/** Where the engine keeps its copy of what we sent, which says nothing to a user. */
const ENGINE_PATH = /\/\S*\/buildkit-mount\d+\//g;

/**
 * What it says of a session that is gone. It drops one whose health it asks for in vain for ten seconds, as while our machine is stopped;
 * a step that needs us then fails, which is no fault of the step's.
 */
const SESSION_LOST =
  /no active session for \S+: |(?:transport|client connection) is closing$|desc = "transport: |error reading from server: EOF$/;
const LOST_US =
  'The engine lost the worker, which it asks for files and secrets while it builds. Was its machine stopped, or short of CPU?';

function buildError(message: string, progress: BuildProgress): EngineError {
  const words = message.replace(WRAPPING, '').replace(ENGINE_PATH, '');
  if (SESSION_LOST.test(words)) return new EngineError('refused', `${LOST_US} (${words})`);
  const failure = progress.failure();
  if (failure?.askedRegistry === true) {
    return stepError(registryErrorKind(message), failure.heading, words);
  }
  if (failure && !isDockerfileError(message)) return stepError('failed', failure.heading, words);
  return new EngineError(isDockerfileError(message) ? 'dockerfile' : 'failed', words);
}
