import type { BuildArguments } from '../../contract/build-arguments.ts';
import type { ExtensionName } from '../../contract/extensions.ts';
import { canonicalRegistry } from '../../contract/references.ts';
import type { RegistryCredentials } from '../engine/engine.ts';

/** The user whose password is a token of the manager's (contract 0.3, "Build arguments"). */
const TOKEN_USER = '$token';

/** Who a build is at each registry: a host is offered its own credentials, and no others. */
export interface Credentials {
  /** For a base image at this host; null is anonymous. */
  forPull(host: string): RegistryCredentials | null;
  /** For the image that primes the cache, in the repository that is pushed to. */
  readonly forCache: RegistryCredentials | null;
  readonly forPush: RegistryCredentials | null;
  /** For a further reference at this host (`push_to`): what the build brought for it, and nothing else. */
  forPushTo(host: string): RegistryCredentials | null;
  /** All of {@link Credentials.forPull}, by host. */
  readonly byHost: ReadonlyMap<string, RegistryCredentials>;
}

/**
 * At the registry that is pushed to: the build's own `base_image` credentials for its base, the tokens for the rest. Elsewhere,
 * and where there are no tokens: `registry_auth`, when that extension was accepted.
 */
export function credentialsOf(build: BuildArguments, accepted: ReadonlySet<ExtensionName>): Credentials {
  const byHost = new Map<string, RegistryCredentials>();
  const extension = accepted.has('registry-auth') ? (build.registry_auth ?? {}) : {};
  for (const [host, each] of Object.entries(extension)) byHost.set(canonicalRegistry(host), each);

  const brought = new Map(byHost);
  const own = canonicalRegistry(build.registry);
  const given = byHost.get(own) ?? null;
  const { username, password } = build.base_image ?? {};
  const forCache = token(build.pull_token) ?? given;
  const forBase = username && password ? { username, password } : (given ?? forCache);
  if (forBase) byHost.set(own, forBase);
  return {
    forPull: (host) => byHost.get(canonicalRegistry(host)) ?? null,
    forCache,
    forPush: given ?? token(build.push_token),
    forPushTo: (host) => brought.get(canonicalRegistry(host)) ?? null,
    byHost,
  };
}

function token(password: string): RegistryCredentials | null {
  return password === '' ? null : { username: TOKEN_USER, password };
}
