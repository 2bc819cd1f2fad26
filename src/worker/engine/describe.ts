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
});

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
    const name = version.Platform?.Name ?? '';
    return {
      name: name === '' ? 'Docker Engine' : name,
      version: version.Version,
      builder: await builders.choose(signal),
    };
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    if (error instanceof EngineError) throw error;
    throw unreachable(transport.name, error);
  }
}
