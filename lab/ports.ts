import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type ListenOptions } from 'node:net';

/** Below those that Linux gives to who asks for any: nobody gets one by chance while the server that it is for starts, or starts again. */
const FIRST = 10_000;
const LAST = 31_999;

/** A TCP port of the loopback on which nobody listens. It is this process's alone among those of the lab, as long as it lives. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(FIRST, LAST + 1);
    if ((await reserve(port)) && (await isFree(port))) return port;
  }
}

/** A name in Linux's abstract namespace has one holder, and goes with it. */
async function reserve(port: number): Promise<boolean> {
  const reservation = await listen({ path: `\0qlab-port-${port}` });
  reservation?.unref();
  return reservation !== null;
}

async function isFree(port: number): Promise<boolean> {
  const server = await listen({ port, host: '127.0.0.1' });
  if (!server) return false;
  server.close();
  await once(server, 'close');
  return true;
}

async function listen(options: ListenOptions): Promise<ReturnType<typeof createServer> | null> {
  const server = createServer();
  try {
    server.listen(options);
    await once(server, 'listening');
    return server;
  } catch {
    return null;
  }
}
