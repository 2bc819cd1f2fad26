import type { Server } from 'node:net';
import { networkOf } from './network-of.ts';

/**
 * Bounds how many connections of one place may be on their way to a worker that is ready: whoever floods the listener from there,
 * with handshakes that never end or sessions that are no worker, keeps nobody out who comes from elsewhere.
 */
export interface Doorkeeper {
  /** A worker is ready on this connection: it does not count any more. `address` as `TransportInfo` has it. */
  letIn(address: string): void;
}

interface DoorkeeperOptions {
  readonly connectionsPerAddress: number;
  /** Told of each connection that was closed at once, and of the place it came from. */
  readonly onShutOut: (network: string) => void;
}

/** Looks after a server's connections from the first packet on, before TLS. One too many is closed without a word. */
export function keepDoor(
  server: Server,
  { connectionsPerAddress, onShutOut }: DoorkeeperOptions,
): Doorkeeper {
  /** What strikes a connection off, by its host and port, and those by their network. */
  const waiting = new Map<string, Map<string, () => void>>();
  server.on('connection', (socket) => {
    const { remoteAddress: host, remotePort: port } = socket;
    // It has gone already.
    if (host === undefined || port === undefined) return;
    const network = networkOf(host);
    const those = waiting.get(network) ?? new Map<string, () => void>();
    if (those.size >= connectionsPerAddress) {
      socket.destroy();
      onShutOut(network);
      return;
    }
    const key = keyOf(host, port);
    const strikeOff = (): void => {
      socket.off('close', strikeOff);
      if (those.get(key) === strikeOff) those.delete(key);
      if (those.size === 0 && waiting.get(network) === those) waiting.delete(network);
    };
    socket.on('close', strikeOff);
    waiting.set(network, those.set(key, strikeOff));
  });
  return {
    letIn(address) {
      const [, host = '', port] = /^\[?(.*?)\]?:(\d+)$/.exec(address) ?? [];
      waiting.get(networkOf(host))?.get(keyOf(host, Number(port)))?.();
    },
  };
}

function keyOf(host: string, port: number): string {
  return `${host} ${port}`;
}
