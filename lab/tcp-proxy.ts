import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** A wire between two programs, which can be cut. */
export interface LabTcpProxy extends AsyncDisposable {
  readonly port: number;
  /** Ends the connections that there are. */
  cut(): void;
  /** Lets connections through from now on, or none. */
  open(isOpen: boolean): void;
  /** Resolves when another connection was let through. */
  connected(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts a proxy on a free loopback port, to a port of the loopback; a connection may take a while to get through, in milliseconds. */
export async function startTcpProxy(
  target: number,
  { delayMs = 0 }: { readonly delayMs?: number } = {},
): Promise<LabTcpProxy> {
  const sockets = new Set<Socket>();
  let isOpen = true;
  let waiting: (() => void)[] = [];
  const server = createServer((near) => {
    near.on('error', () => undefined);
    if (!isOpen) {
      near.destroy();
      return;
    }
    const far = connect(target, '127.0.0.1');
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(one);
      one.on('error', () => other.destroy());
      one.on('close', () => {
        sockets.delete(one);
        other.destroy();
      });
    }
    setTimeout(() => near.pipe(far).pipe(near), delayMs);
    far.on('connect', () => {
      for (const resolve of waiting) resolve();
      waiting = [];
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  const stop = async (): Promise<void> => {
    if (!server.listening) return;
    server.close();
    cut();
    await once(server, 'close');
  };
  return {
    port,
    cut,
    open: (next) => void (isOpen = next),
    connected: () => new Promise((resolve) => waiting.push(resolve)),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}
