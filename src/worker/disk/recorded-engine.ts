import type { EngineMessage } from '../../contract/log-messages.ts';
import { EngineError, type Engine, type EngineCall } from '../engine/engine.ts';
import type { SpaceGuard } from './space-guard.ts';
import { saysNoSpace } from './space.ts';

/** What is told of the use that a build makes of its engine. None of these throws. */
export interface UseListener {
  /** A name is about to be made or moved. */
  readonly before: (reference: string, signal: AbortSignal) => Promise<NameBefore>;
  /** It was made or moved. */
  readonly after: (reference: string, before: NameBefore) => Promise<void>;
  readonly untagged: (reference: string) => Promise<void>;
  /** A name that is to go could not be removed. */
  readonly notUntagged: (reference: string) => Promise<void>;
  /** The engine went away within a step of the classic builder, which runs in this container. */
  readonly stepLeft: (container: string) => Promise<void>;
  /** The engine's disk is full. */
  readonly full: () => void;
}

/** What was on the engine before a name was made. */
interface NameBefore {
  readonly wasThere: boolean;
  /** Ids of all images that were there; null where nobody asked. */
  readonly images: ReadonlySet<string> | null;
}

/** How much of a step's output is looked at for why it failed, in characters. */
const TAIL = 4096;
const STEP_CONTAINER = /^ ---> Running in ([0-9a-f]{12,64})$/gm;

/** An engine whose use by one build is listened to; a failure that comes from a full disk is an EngineError `full`. */
export function recordedEngine(engine: Engine, listener: UseListener, space: SpaceGuard): Engine {
  const naming = async <T>(
    reference: string,
    signal: AbortSignal,
    work: () => Promise<T>,
    tail: () => string = () => '',
  ): Promise<T> => {
    const before = await listener.before(reference, signal);
    const result = await orFull(work, tail, listener);
    await listener.after(reference, before);
    return result;
  };
  return {
    ...engine,
    pull: (reference, credentials, call) =>
      naming(reference, call.signal, () =>
        space.guard(call.signal, (signal) => engine.pull(reference, credentials, { ...call, signal })),
      ),
    tag: (reference, repository, tag, signal) =>
      naming(`${repository}:${tag}`, signal, () => engine.tag(reference, repository, tag, signal)),
    push: (repository, tag, credentials, call) =>
      orFull(
        () => engine.push(repository, tag, credentials, call),
        () => '',
        listener,
      ),
    build: async (build, call) => {
      const output = keepTail(call);
      try {
        return await naming(
          build.reference,
          call.signal,
          () => space.guard(call.signal, (signal) => engine.build(build, { ...output.call, signal })),
          output.tail,
        );
      } catch (error) {
        const container = [...output.tail().matchAll(STEP_CONTAINER)].at(-1)?.[1];
        const isLost = error instanceof EngineError && error.kind === 'unreachable';
        if (isLost && container !== undefined) await listener.stepLeft(container);
        throw error;
      }
    },
    untag: async (reference) => {
      try {
        await engine.untag(reference);
      } catch (error) {
        await listener.notUntagged(reference);
        throw error;
      }
      await listener.untagged(reference);
    },
  };
}

/** Throws an EngineError `full` in the place of one whose words, or the last words of the output, say that a disk is full. */
async function orFull<T>(
  work: () => Promise<T>,
  tail: () => string,
  { full }: Pick<UseListener, 'full'>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof EngineError) || error.kind === 'unreachable') throw error;
    const printed = saysNoSpace(tail());
    if (error.kind !== 'full' && !printed && !saysNoSpace(error.message)) throw error;
    full();
    if (error.kind === 'full') throw error;
    const message = printed ? `${error.message} (the step printed "No space left on device")` : error.message;
    throw new EngineError('full', message, { cause: error });
  }
}

function keepTail(call: EngineCall): { readonly call: EngineCall; readonly tail: () => string } {
  let tail = '';
  return {
    call: {
      signal: call.signal,
      onMessage: (message: EngineMessage) => {
        if (message.stream !== undefined) tail = (tail + message.stream).slice(-TAIL);
        return call.onMessage(message);
      },
    },
    tail: () => tail,
  };
}
