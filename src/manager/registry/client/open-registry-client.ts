import { createAddressGuard, type PrivateAddresses } from '../../../contract/network/addresses.ts';
import { createHttpClient, type HttpClient } from '../../../contract/network/http-client.ts';
import type { Proxies } from '../../../contract/network/proxies.ts';
import { canonicalRegistry } from '../../../contract/references.ts';
import { createBreaker } from './breaker.ts';
import { CONNECT_WITHIN_MS, STALL_MS } from './limits.ts';
import { createRegistryClient, isLoopbackRegistry, type RegistryClient } from './registry-client.ts';

export interface OpenRegistryClientOptions {
  /** The manager's own, wherever it is; null when it has none. */
  readonly registry: string | null;
  /** Where it is asked instead of at its name; null for there. */
  readonly registryUrl: URL | null;
  /** Where the others may be. */
  readonly privateAddresses: PrivateAddresses;
  readonly proxies: Proxies;
  /** Beside those of the loopback: asked by plain http where they speak no https. */
  readonly insecure: readonly string[];
  readonly logger: { debug(fields: object, message: string): void };
  /** Milliseconds, of a clock that never goes back. */
  readonly now: () => number;
}

/** The client of registries by the operator's settings: those that builds name are reached within the same bounds as git servers. */
export function openRegistryClient(
  options: OpenRegistryClientOptions,
): { readonly client: RegistryClient } & AsyncDisposable {
  const { registry, registryUrl, privateAddresses, proxies, insecure, logger, now } = options;
  const stopped = new AbortController();
  const open = (addresses: PrivateAddresses): HttpClient =>
    createHttpClient(
      { guard: createAddressGuard(addresses), proxies },
      { connectMs: CONNECT_WITHIN_MS, stallMs: STALL_MS },
      stopped.signal,
    );
  const own = open('all');
  const others = open(privateAddresses);
  const ownHost = registry === null ? null : canonicalRegistry(registry);
  const insecureHosts = new Set(insecure.map(canonicalRegistry));
  return {
    client: createRegistryClient({
      clientFor: (host) => (host === ownHost ? own : others),
      urlOf: (host) => (host === ownHost ? registryUrl : null),
      isInsecure: (host) => insecureHosts.has(host) || isLoopbackRegistry(host),
      breaker: createBreaker(now),
      logger,
    }),
    async [Symbol.asyncDispose]() {
      stopped.abort();
      await Promise.all([own[Symbol.asyncDispose](), others[Symbol.asyncDispose]()]);
    },
  };
}
