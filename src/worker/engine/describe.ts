import { json } from 'node:stream/consumers';
import { z } from 'zod';
import type { Builders } from './builders.ts';
import { EngineError, type EngineDescription } from './engine.ts';
import { unreachable } from './errors.ts';
import { withDeadline } from './deadline.ts';
import type { Transport } from './transport.ts';

const versionSchema = z.object({
  Version: z.string(),
  Platform: z.object({ Name: z.string() }).nullish(),
  Components: z.array(z.object({ Name: z.string() })).nullish(),
});

const PODMAN = 'Podman Engine';

/** Asks the engine what it is. */
export async function describeEngine(
  transport: Transport,
  builders: Builders,
  signal: AbortSignal,
): Promise<EngineDescription> {
  try {
    const version = await withDeadline(signal, async (bounded) => {
      const response = await transport.request(
        { method: 'GET', path: '/version', signal: bounded },
        (_status, message) => new EngineError('refused', message),
      );
      return versionSchema.parse(await json(response));
    });
    return {
      name: nameOf(version),
      version: version.Version,
      builder: await builders.choose(signal),
    };
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    if (error instanceof EngineError) throw error;
    throw unreachable(transport.name, error);
  }
}

/** Docker's engine has its name with its platform, or none; Podman's is that of its first component. */
function nameOf({ Platform: platform, Components: components }: z.output<typeof versionSchema>): string {
  const podman = components?.find(({ Name: name }) => name === PODMAN);
  if (podman) return podman.Name;
  const name = platform?.Name ?? '';
  return name === '' ? 'Docker Engine' : name;
}
