import { isIP, type LookupFunction } from 'node:net';
import { Agent, ProxyAgent, type Dispatcher } from 'undici';
import { ForbiddenAddress, type AddressGuard, type HostAddress } from './addresses.ts';
import { proxyFor, type Proxies } from './proxies.ts';

/** In milliseconds. */
export interface NetworkLimits {
  /** How long a connection may take to be made. */
  readonly connectMs: number;
  /** How long a server may send nothing. */
  readonly stallMs: number;
}

/** The way to where sources are. */
export interface Network {
  readonly guard: AddressGuard;
  readonly proxies: Proxies;
}

export interface HttpClient extends AsyncDisposable {
  /**
   * What a request for this URL goes through. Throws a ForbiddenAddress, or the resolver's error; a redirect is another URL, and must be
   * asked for anew.
   */
  dispatcherFor(url: URL): Promise<Dispatcher>;
}

/** An HTTP client that connects to what the guard permits, at the very address that was looked at, or through a proxy. */
export function createHttpClient(network: Network, limits: NetworkLimits, signal: AbortSignal): HttpClient {
  const { guard, proxies } = network;
  const timeouts = { headersTimeout: limits.stallMs, bodyTimeout: limits.stallMs };
  const lookup: LookupFunction = (host, { all }, done) => {
    guard.resolve(host, signal).then(
      (found) => {
        const [first] = found;
        if (all) done(null, [...found]);
        else done(null, first?.address ?? '', first?.family);
      },
      (error: unknown) => done(error instanceof Error ? error : new Error(String(error)), []),
    );
  };
  const direct = new Agent({ connect: { timeout: limits.connectMs, lookup }, ...timeouts });
  const proxied = new Map<string, ProxyAgent>();
  return {
    dispatcherFor: async (url) => {
      const proxy = proxyFor(url, proxies);
      await resolveHost(url.hostname.replace(/^\[|\]$/g, ''), proxy, guard, signal);
      if (proxy === null) return direct;
      const agent =
        proxied.get(proxy) ?? new ProxyAgent({ uri: proxy, connectTimeout: limits.connectMs, ...timeouts });
      proxied.set(proxy, agent);
      return agent;
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all([direct, ...proxied.values()].map((each) => each.destroy()));
    },
  };
}

/**
 * The addresses of a host that may be connected to; null where a proxy connects, and finds the name. A name that is known here too is
 * looked at all the same. Throws as `guard.resolve`.
 */
export async function resolveHost(
  host: string,
  proxy: string | null,
  guard: AddressGuard,
  signal: AbortSignal,
): Promise<readonly HostAddress[] | null> {
  if (proxy === null || isIP(host) !== 0) return guard.resolve(host, signal);
  await guard.resolve(host, signal).catch((error: unknown) => {
    if (error instanceof ForbiddenAddress) throw error;
  });
  signal.throwIfAborted();
  return null;
}
