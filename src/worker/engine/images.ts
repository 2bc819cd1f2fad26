import type Docker from 'dockerode';
import { z } from 'zod';
import { isDigest } from '../../contract/references.ts';
import { reasonOf } from '../../contract/reason.ts';
import { withDeadline } from './deadline.ts';
import { EngineError, type Engine, type EngineCall, type RegistryCredentials } from './engine.ts';
import { registryErrorKind, unreachable } from './errors.ts';
import { errorOf, followMessages, logMessageOf, type WireMessage } from './messages.ts';

/** What is done with images that are whole: pull, find, name, push, forget. */
export function createImages(
  client: () => Promise<Docker>,
  engineName: string,
  isPodman: (signal: AbortSignal) => Promise<boolean>,
): Pick<Engine, 'pull' | 'inspect' | 'triggers' | 'tag' | 'push' | 'untag'> {
  /** Runs a call that moves nothing. dockerode does not hand its signal on everywhere, so the wait itself is cut. */
  const ask = async <T>(signal: AbortSignal, call: (docker: Docker) => Promise<T>): Promise<T> => {
    try {
      return await withDeadline(signal, async () => call(await client()));
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      throw toEngineError(error, engineName, () => 'refused');
    }
  };
  /** Runs a call that a registry takes part in, and reads its messages to the end. */
  const transfer = async (
    call: EngineCall,
    begin: (docker: Docker) => Promise<NodeJS.ReadableStream>,
    onMessage: (message: WireMessage) => void = () => undefined,
  ): Promise<void> => {
    call.signal.throwIfAborted();
    const stream = await begin(await client()).catch((error: unknown) => {
      if (call.signal.aborted) throw call.signal.reason;
      throw toEngineError(error, engineName, registryErrorKind);
    });
    await followMessages(stream as AsyncIterable<Buffer>, call, (message) => {
      const error = errorOf(message);
      if (error !== null) throw new EngineError(registryErrorKind(error), error);
      onMessage(message);
      const line = logMessageOf(message);
      return line ? call.onMessage(line) : undefined;
    });
  };

  return {
    pull: (reference, credentials, call, platform = '') =>
      transfer(call, (docker) =>
        docker.pull(reference, {
          ...(platform === '' ? {} : { platform }),
          authconfig: authConfig(credentials),
          abortSignal: call.signal,
        }),
      ),

    async inspect(reference, signal) {
      try {
        const { Id, Os, Architecture } = await ask(signal, (docker) => docker.getImage(reference).inspect());
        return { imageId: Id, platform: `${Os}/${Architecture}` };
      } catch (error) {
        if (isNoSuchImage(error)) return null;
        throw error;
      }
    },

    async triggers(reference, signal) {
      if (await isPodman(signal)) return null;
      const { Config } = await ask(signal, (docker) => docker.getImage(reference).inspect());
      return configSchema.safeParse(Config).data?.OnBuild ?? [];
    },

    async tag(reference, repository, tag, signal) {
      await ask(signal, (docker) =>
        docker.getImage(reference).tag({ repo: repository, tag, abortSignal: signal }),
      );
    },

    async push(repository, tag, credentials, call) {
      const pushed: { digest: string | null } = { digest: null };
      await transfer(
        call,
        (docker) =>
          docker.getImage(repository).push({
            tag,
            authconfig: authConfig(credentials),
            abortSignal: call.signal,
          }),
        (message) => {
          pushed.digest = digestIn(message, tag) ?? pushed.digest;
        },
      );
      if (pushed.digest === null) {
        throw new EngineError(
          'failed',
          `The engine did not say with which digest it pushed ${repository}:${tag}.`,
        );
      }
      return { digest: pushed.digest };
    },

    async untag(reference) {
      try {
        await ask(new AbortController().signal, (docker) => docker.getImage(reference).remove());
      } catch (error) {
        if (!isNoSuchImage(error)) throw error;
      }
    },
  };
}

/** The engine wants the header, also of somebody who has nothing to say in it. */
function authConfig(credentials: RegistryCredentials | null): { username: string; password: string } {
  return { username: credentials?.username ?? '', password: credentials?.password ?? '' };
}

const configSchema = z.object({ OnBuild: z.array(z.string()).nullish() }).nullish();

const pushAuxSchema = z.object({ Tag: z.string(), Digest: z.string() });
const DIGEST_LINE = /^(\S+): digest: (sha256:[0-9a-f]{64}) size: \d+/;

/** The digest that this tag was pushed with: Docker says it twice, Podman and newer image stores only in the line. */
function digestIn(message: WireMessage, tag: string): string | null {
  const aux = pushAuxSchema.safeParse(message.aux);
  if (aux.success && aux.data.Tag === tag && isDigest(aux.data.Digest)) return aux.data.Digest;
  const line = DIGEST_LINE.exec(message.status ?? '');
  return line?.[1] === tag ? (line[2] ?? null) : null;
}

const httpErrorSchema = z.object({
  statusCode: z.number(),
  json: z.object({ message: z.string() }).nullish().catch(null),
});

/** What dockerode puts before the engine's words where it has not kept them apart. */
const DOCKERODE_PREFIX = /^\(HTTP code \d+\) .*? - /;

/** The EngineError that a failure of dockerode's means; `kindOf` reads the engine's own words. */
function toEngineError(
  error: unknown,
  engineName: string,
  kindOf: (message: string) => EngineError['kind'],
): EngineError {
  if (error instanceof EngineError) return error;
  const answer = httpErrorSchema.safeParse(error);
  if (!answer.success) return unreachable(engineName, error);
  const message = (answer.data.json?.message ?? reasonOf(error).replace(DOCKERODE_PREFIX, '')).trim();
  return new EngineError(kindOf(message), message, { cause: error });
}

function isNoSuchImage(error: unknown): boolean {
  return error instanceof EngineError && httpErrorSchema.safeParse(error.cause).data?.statusCode === 404;
}
