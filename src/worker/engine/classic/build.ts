import { z } from 'zod';
import { parseStepHeading } from '../../../contract/log-messages.ts';
import { ContextError } from '../context/entries.ts';
import { registryConfigHeader } from '../credentials.ts';
import { EngineError, type EngineCall, type ImageBuild } from '../engine.ts';
import { buildErrorKind, type BuildFailure, stepError } from '../errors.ts';
import { optionsQuery } from '../options-query.ts';
import { errorOf, followMessages, logMessageOf } from '../messages.ts';
import type { Transport } from '../transport.ts';
import { packContext } from './context-tar.ts';
import { endControlGroup, newControlGroup } from './control-group.ts';
import { createStepReader, podmanFailure, podmanQuery, type Podman } from './podman.ts';

const imageIdSchema = z.object({ ID: z.string().min(1) });
const BUILT = /^Successfully built ([0-9a-f]{12,64})$/m;

/**
 * Builds with the classic builder (Docker's first, and Podman's): the whole context goes out as a tar archive. `podman` is null
 * for Docker.
 */
export async function buildClassically(
  transport: Transport,
  build: ImageBuild,
  call: EngineCall,
  podman: Podman | null,
): Promise<{ imageId: string }> {
  demandNoMounts(build);
  const words = podman === null ? dockerWords : await podmanWords(build, podman);
  const { body, dockerfile } = await packContext(build.contextDirectory, build.dockerfile, {
    linksMayLeave: podman === null,
  });
  body.on('error', () => undefined);
  try {
    const response = await transport.request(
      {
        method: 'POST',
        path: `/build?${queryOf(build, dockerfile, words)}`,
        headers: {
          'Content-Type': 'application/x-tar',
          'X-Registry-Config': registryConfigHeader(build.credentials),
        },
        body,
        signal: call.signal,
      },
      (status, message) => {
        const kind = buildErrorKind(message, null);
        return new EngineError(kind === 'failed' && status < 500 ? 'refused' : kind, message);
      },
    );
    return { imageId: await followBuild(response, call, words) };
  } catch (error) {
    if (call.signal.aborted) await words.afterAbort();
    // Why the archive broke off says more than that the request did.
    throw body.errored instanceof ContextError && !call.signal.aborted ? body.errored : error;
  } finally {
    body.destroy();
  }
}

function demandNoMounts({ secrets, sshAgents }: ImageBuild): void {
  const what = secrets.size > 0 ? 'secrets' : sshAgents.size > 0 ? 'ssh keys' : null;
  if (what === null) return;
  throw new EngineError(
    'failed',
    `This build has ${what}, which only BuildKit can give to a step; the engine of this worker builds with the classic builder.`,
  );
}

/** What is said and heard in other words by the engines that have this builder. */
interface Words {
  readonly query: Readonly<Record<string, string>>;
  /** What is printed of steps, in Docker's words. */
  readonly line: (text: string) => string;
  /** What an error of the engine's means, within a step or (null) before any. */
  readonly error: (message: string, instruction: string | null) => BuildFailure;
  /** Ends what the engine would let go on. */
  readonly afterAbort: () => Promise<void>;
}

const dockerWords: Words = {
  query: {},
  line: (text) => text,
  error: (message, instruction) => ({ kind: buildErrorKind(message, instruction), message }),
  afterAbort: () => Promise.resolve(),
};

async function podmanWords(build: ImageBuild, { rootless }: Podman): Promise<Words> {
  const group = rootless ? null : newControlGroup();
  return {
    query: podmanQuery(group),
    line: await createStepReader(build),
    error: podmanFailure,
    afterAbort: () => (group === null ? Promise.resolve() : endControlGroup(group)),
  };
}

function queryOf(build: ImageBuild, dockerfile: string, words: Words): string {
  return new URLSearchParams({
    ...words.query,
    t: build.reference,
    // Podman takes a name that reads as JSON for a list of paths on its own machine.
    dockerfile: `./${dockerfile}`,
    rm: '1',
    // Without it a failed build leaves its container behind.
    forcerm: '1',
    ...(build.pull ? { pull: '1' } : {}),
    ...(build.cacheFrom.length > 0 ? { cachefrom: JSON.stringify(build.cacheFrom) } : {}),
    ...optionsQuery(build),
    ...limitsQuery(build.limits),
    buildargs: JSON.stringify(build.buildArgs),
  }).toString();
}

/** The length of a period in which a step may use so much of a CPU's time, in microseconds. */
const CPU_PERIOD = 100_000;

function limitsQuery({ memory, cpus }: ImageBuild['limits']): Record<string, string> {
  return {
    // With the same limit of memory and swap together, it has no swap.
    ...(memory === undefined ? {} : { memory: String(memory), memswap: String(memory) }),
    ...(cpus === undefined
      ? {}
      : { cpuperiod: String(CPU_PERIOD), cpuquota: String(Math.round(cpus * CPU_PERIOD)) }),
  };
}

async function followBuild(response: AsyncIterable<Buffer>, call: EngineCall, words: Words): Promise<string> {
  const built: { imageId: string | null } = { imageId: null };
  let heading: string | null = null;
  await followMessages(response, call, async (message) => {
    const said = errorOf(message);
    if (said !== null) {
      const instruction = heading === null ? null : (parseStepHeading(heading)?.instruction ?? null);
      const { kind, message: error } = words.error(said, instruction);
      throw stepError(kind, heading, error);
    }
    built.imageId = imageIdSchema.safeParse(message.aux).data?.ID ?? built.imageId;
    const text = words.line(message.stream ?? '');
    if (parseStepHeading(text)) heading = text;
    built.imageId ??= BUILT.exec(text)?.[1] ?? null;
    const line = logMessageOf(message.stream === undefined ? message : { ...message, stream: text });
    if (line) await call.onMessage(line);
  });
  if (built.imageId === null) throw new EngineError('failed', 'The engine ended the build without a result.');
  return built.imageId;
}
