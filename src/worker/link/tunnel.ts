import { isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import { reasonOf } from '../../contract/reason.ts';
import type { TlsOptions } from './tls.ts';

/**
 * Has a proxy connect to a manager (RFC 9110, "CONNECT"), for `ws` and `wss` alike: few proxies forward an upgrade. Throws an error that
 * names the proxy, without its credentials, and what it did. An abort of `signal` ends what has begun.
 */
export async function openTunnel(endpoint: URL, proxy: URL, signal: AbortSignal): Promise<Duplex> {
  // Loaded where there is a proxy: it is a third of what a worker needs to be ready.
  const { default: undici } = await import('undici');
  const client = new undici.Client(proxy.origin);
  const fail = (why: string): Error => new Error(`the proxy ${proxy.origin} ${why}`);
  try {
    const { statusCode, socket } = await client
      .connect({
        path: `${endpoint.hostname}:${portOf(endpoint)}`,
        headers: { host: `${endpoint.hostname}:${portOf(endpoint)}`, ...authorization(proxy) },
        signal,
      })
      .catch((error: unknown) => {
        throw fail(`could not be used: ${reasonOf(signal.aborted ? signal.reason : error)}`);
      });
    if (statusCode === 200) return socket;
    socket.on('error', () => undefined).destroy();
    throw fail(
      statusCode === 407 ? 'asks for credentials, or for others (407)' : `answered ${statusCode} to CONNECT`,
    );
  } finally {
    // The socket of a tunnel is no longer the client's.
    await client.destroy();
  }
}

/** TLS with the manager, not with the proxy, over a tunnel: its certificate must be for the endpoint's host, also where that is an address. */
export function secureTunnel(socket: Duplex, endpoint: URL, tls: TlsOptions): Duplex {
  const host = endpoint.hostname.replace(/^\[|\]$/g, '');
  // Without a host, Node would hold an address to the name "localhost".
  return connectTls({ ...(isIP(host) === 0 ? { servername: host } : {}), ...tls, host, socket });
}

function portOf({ port, protocol }: URL): string {
  return port === '' ? (protocol === 'wss:' ? '443' : '80') : port;
}

function authorization({ username, password }: URL): Record<string, string> {
  if (username === '' && password === '') return {};
  const credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return { 'proxy-authorization': `Basic ${Buffer.from(credentials).toString('base64')}` };
}
