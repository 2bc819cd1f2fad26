import { once } from 'node:events';
import { createServer, type ListenOptions, type Server } from 'node:net';

/**
 * Takes what a name stands for, among all processes of the lab on this machine, for as long as this one lives. False: another has it.
 * A name in Linux's abstract namespace has one holder, and goes with it.
 */
export async function reserve(name: string): Promise<boolean> {
  const reservation = await listen({ path: `\0qlab-${name}` });
  reservation?.unref();
  return reservation !== null;
}

/** Listens, or answers with null where that cannot be. */
export async function listen(options: ListenOptions): Promise<Server | null> {
  const server = createServer();
  try {
    server.listen(options);
    await once(server, 'listening');
    return server;
  } catch {
    return null;
  }
}
