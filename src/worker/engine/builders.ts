import type { AllowedFrontends } from './buildkit/frontend.ts';
import { hasSessions } from './buildkit/session.ts';
import type { FindPodman } from './classic/podman.ts';
import { ContextError } from './context/entries.ts';
import { PatternError } from '../../contract/ignore-patterns.ts';
import {
  EngineError,
  type Engine,
  type EngineCall,
  type EngineDescription,
  type ImageBuild,
} from './engine.ts';
import type { Transport } from './transport.ts';

type BuilderName = EngineDescription['builder'];
/** `auto` takes BuildKit where the engine has it. */
export type BuilderChoice = BuilderName | 'auto';

export interface Builders {
  readonly build: Engine['build'];
  /** Which one `build` uses, asking the engine what it has. Throws an EngineError `lacking` where that is not what was chosen. */
  choose(signal: AbortSignal): Promise<BuilderName>;
  /** Podman's answers leave out some of Docker's. */
  readonly isPodman: (signal: AbortSignal) => Promise<boolean>;
}

export function createBuilders(
  transport: Transport,
  choice: BuilderChoice,
  frontends: AllowedFrontends,
): Builders {
  // Docker's engines have BuildKit from 18.09 on, and say so by taking a session; `Builder-Version` of their ping tells only
  // what their own command line would use.
  const choose = async (signal: AbortSignal): Promise<BuilderName> => {
    if (choice === 'classic') return choice;
    if (await hasSessions(transport, signal)) return 'buildkit';
    if (choice === 'buildkit') throw noBuildKit();
    return 'classic';
  };

  let finder: FindPodman | null = null;
  const findPodman: FindPodman = async (signal) =>
    (finder ??= (await import('./classic/podman.ts')).createPodmanFinder(transport))(signal);

  // Each is loaded for the first build that it does: a worker is ready sooner, and smaller.
  const run = async (build: ImageBuild, call: EngineCall): Promise<{ imageId: string }> => {
    if (choice !== 'classic') {
      const { buildWithBuildKit } = await import('./buildkit/build.ts');
      const built = await buildWithBuildKit(transport, build, call, frontends);
      if (built) return built;
      if (choice === 'buildkit') throw noBuildKit();
    }
    const { buildClassically } = await import('./classic/build.ts');
    return buildClassically(transport, build, call, await findPodman(call.signal));
  };
  return {
    choose,
    isPodman: async (signal) => (await findPodman(signal)) !== null,
    async build(build, call) {
      call.signal.throwIfAborted();
      try {
        return await run(build, call);
      } catch (error) {
        if (error instanceof ContextError || error instanceof PatternError) {
          throw new EngineError('failed', `The build context cannot be sent: ${error.message}.`, {
            cause: error,
          });
        }
        throw error;
      }
    },
  };
}

function noBuildKit(): EngineError {
  return new EngineError('lacking', 'This engine has no BuildKit, which BUILDER=buildkit asks for.');
}
