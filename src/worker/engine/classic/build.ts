import { z } from 'zod';
import { parseStepHeading } from '../../../contract/log-messages.ts';
import { ContextError } from '../context/entries.ts';
import { registryConfigHeader } from '../credentials.ts';
import { EngineError, type EngineCall, type ImageBuild } from '../engine.ts';
import { buildErrorKind, stepError } from '../errors.ts';
import { optionsQuery } from '../options-query.ts';
import { errorOf, followMessages, logMessageOf } from '../messages.ts';
import type { Transport } from '../transport.ts';
import { packContext } from './context-tar.ts';

const imageIdSchema = z.object({ ID: z.string().min(1) });
const BUILT = /^Successfully built ([0-9a-f]{12,64})$/m;

/** Builds with the classic builder (Docker's first, and Podman's): the whole context goes out as a tar archive. */
export async function buildClassically(
  transport: Transport,
  build: ImageBuild,
  call: EngineCall,
): Promise<{ imageId: string }> {
  if (build.secrets.size > 0) {
    throw new EngineError(
      'failed',
      'This build has secrets, which only BuildKit can give to a step; the engine of this worker builds with the classic builder.',
    );
  }
  const { body, dockerfile } = await packContext(build.contextDirectory, build.dockerfile);
  body.on('error', () => undefined);
  try {
    const response = await transport.request(
      {
        method: 'POST',
        path: `/build?${queryOf(build, dockerfile)}`,
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
    return { imageId: await followBuild(response, call) };
  } catch (error) {
    // Why the archive broke off says more than that the request did.
    throw body.errored instanceof ContextError && !call.signal.aborted ? body.errored : error;
  } finally {
    body.destroy();
  }
}

function queryOf(build: ImageBuild, dockerfile: string): string {
  return new URLSearchParams({
    t: build.reference,
    dockerfile,
    rm: '1',
    // Without it a failed build leaves its container behind.
    forcerm: '1',
    ...(build.pull ? { pull: '1' } : {}),
    ...(build.cacheFrom.length > 0 ? { cachefrom: JSON.stringify(build.cacheFrom) } : {}),
    ...optionsQuery(build),
    buildargs: JSON.stringify(build.buildArgs),
  }).toString();
}

async function followBuild(response: AsyncIterable<Buffer>, call: EngineCall): Promise<string> {
  const built: { imageId: string | null } = { imageId: null };
  let heading: string | null = null;
  await followMessages(response, call, async (message) => {
    const error = errorOf(message);
    if (error !== null) {
      const instruction = heading === null ? null : (parseStepHeading(heading)?.instruction ?? null);
      throw stepError(buildErrorKind(error, instruction), heading, error);
    }
    built.imageId = imageIdSchema.safeParse(message.aux).data?.ID ?? built.imageId;
    const text = message.stream ?? '';
    if (parseStepHeading(text)) heading = text;
    built.imageId ??= BUILT.exec(text)?.[1] ?? null;
    const line = logMessageOf(message);
    if (line) await call.onMessage(line);
  });
  if (built.imageId === null) throw new EngineError('failed', 'The engine ended the build without a result.');
  return built.imageId;
}
