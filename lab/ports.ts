import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { listen, reserve } from './reservation.ts';

/** Below those that Linux gives to who asks for any: nobody gets one by chance while the server that it is for starts, or starts again. */
const FIRST = 10_000;
const LAST = 31_999;

/** A TCP port of the loopback on which nobody listens. It is this process's alone among those of the lab, as long as it lives. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(FIRST, LAST + 1);
    if ((await reserve(`port-${port}`)) && (await isFree(port))) return port;
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = await listen({ port, host: '127.0.0.1' });
  if (!server) return false;
  server.close();
  await once(server, 'close');
  return true;
}
