import { once } from 'node:events';
import type { Server } from 'node:net';
import type { ListenAddress } from './listen-address.ts';

/** Makes a server listen, and answers with where it does, the port that was chosen for 0 included. */
export async function listen(server: Server, { host, port }: ListenAddress): Promise<ListenAddress> {
  server.listen(port, host);
  await once(server, 'listening');
  return { host, port: portOf(server) };
}

/** The TCP port on which a server listens. */
export function portOf(server: Server): number {
  const address = server.address();
  if (typeof address !== 'object' || address === null)
    throw new Error('the server does not listen on a port');
  return address.port;
}
