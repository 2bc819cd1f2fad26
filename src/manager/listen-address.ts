/** Where a listener listens. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

const ADDRESS = /^(?:\[([0-9a-fA-F:]+)\]|([^:\s]+)):(\d{1,5})$/;
const EVERY_ADDRESS = /^(?:0\.0\.0\.0|::)$/;
const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|::1)$/;

/** Reads HOST:PORT, an IPv6 host in brackets. */
export function readListenAddress(text: string): ListenAddress | undefined {
  const match = ADDRESS.exec(text);
  const port = Number(match?.[3]);
  return match && port <= 65_535 ? { host: match[1] ?? match[2] ?? '', port } : undefined;
}

/** The address as a URL has it. */
export function authorityOf({ host, port }: ListenAddress): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** Whether only this machine reaches that address. */
export function isLoopback({ host }: ListenAddress): boolean {
  return LOOPBACK.test(host);
}

/** Whether it is every address of this machine, which nobody can connect to by that name. */
export function isEveryAddress({ host }: ListenAddress): boolean {
  return EVERY_ADDRESS.test(host);
}
