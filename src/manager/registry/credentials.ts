import { canonicalRegistry } from '../../contract/references.ts';
import type { Claim } from '../../store/index.ts';
import type { SecretBox } from '../secrets/secret-box.ts';

/** Who builds are at registries, of what namespaces have stored, of what a build brings and of what this manager has. */

export interface RegistryUser {
  readonly username: string;
  readonly password: string;
}

/** By host, or host and port. */
export type RegistryUsers = Readonly<Record<string, RegistryUser>>;

/** The place that a stored password is bound to. */
export function credentialContext(namespace: string, registry: string): string {
  return `credential/${registry}/${namespace}`;
}

/**
 * The credentials that the namespace of a build has stored.
 *
 * @throws SealError when one was sealed with a key that is not known here.
 */
export function storedUsers({ build, credentials }: Claim, box: SecretBox): RegistryUsers {
  return Object.fromEntries(
    credentials.map(({ registry, username, password }) => [
      registry,
      { username, password: box.open(credentialContext(build.namespace, registry), password) },
    ]),
  );
}

/** One user a registry, however its host is written: what comes later goes before. */
export function mergeUsers(...sources: readonly (RegistryUsers | undefined)[]): RegistryUsers {
  const merged = new Map<string, readonly [host: string, user: RegistryUser]>();
  for (const source of sources) {
    for (const entry of Object.entries(source ?? {})) merged.set(canonicalRegistry(entry[0]), entry);
  }
  return Object.fromEntries(merged.values());
}
