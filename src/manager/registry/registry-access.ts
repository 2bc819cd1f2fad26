import type { ExtensionName } from '../../contract/extensions.ts';
import { canonicalRegistry } from '../../contract/references.ts';
import type { RegistryUser, RegistryUsers } from './credentials.ts';

/** How the builds of a registry come to push there. */
export interface RegistryAccess {
  /** Whether each try gets tokens that this manager, as the registry's token server, minted for it. */
  readonly tokens: boolean;
  /** Another registry that does: builds that push here may have their bases there, and be pushed there too. null for none. */
  readonly tokensElsewhere: string | null;
  /** Who builds are there by this manager's settings, where it is a registry with one user; they need the extension `registry-auth`. */
  readonly users: RegistryUsers;
  /** What a worker must have to build for this registry. */
  readonly requiredExtensions: readonly ExtensionName[];
}

export interface RegistryOptions {
  /** The registry that this manager has credentials for; null when it has none. */
  readonly registry: string | null;
  /** Whether this manager is the token server of that registry. */
  readonly tokens: boolean;
  /** Its user and password, where it takes neither tokens nor anyone. */
  readonly user: RegistryUser | null;
}

const OPEN: RegistryAccess = { tokens: false, tokensElsewhere: null, users: {}, requiredExtensions: [] };

/** Answers, for a registry's host, how builds push there. One that this manager knows nothing of is taken for open. */
export function createRegistryAccess(options: RegistryOptions): (host: string) => RegistryAccess {
  return (host) => {
    if (options.registry === null || canonicalRegistry(host) !== canonicalRegistry(options.registry))
      return { ...OPEN, tokensElsewhere: options.tokens ? options.registry : null };
    if (options.tokens) return { ...OPEN, tokens: true };
    if (options.user === null) return OPEN;
    return {
      ...OPEN,
      users: { [host]: options.user },
      requiredExtensions: ['registry-auth'],
    };
  };
}
