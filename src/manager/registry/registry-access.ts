import type { BuildArgumentsMessage } from '../../contract/build-arguments.ts';
import type { ExtensionName } from '../../contract/extensions.ts';

/** How the builds of a registry come to push there. */
export interface RegistryAccess {
  /** Whether each try gets tokens that this manager, as the registry's token server, minted for it. */
  readonly tokens: boolean;
  /** The build argument `registry_auth`, for a registry with one user and password; it needs the extension of that name. */
  readonly registryAuth: BuildArgumentsMessage['registry_auth'];
  /** What a worker must have to build for this registry. */
  readonly requiredExtensions: readonly ExtensionName[];
}

export interface RegistryOptions {
  /** The registry that this manager has credentials for; null when it has none. */
  readonly registry: string | null;
  /** Whether this manager is the token server of that registry. */
  readonly tokens: boolean;
  /** Its user and password, where it takes neither tokens nor anyone. */
  readonly user: { readonly username: string; readonly password: string } | null;
}

const OPEN: RegistryAccess = { tokens: false, registryAuth: undefined, requiredExtensions: [] };

/** Answers, for a registry's host, how builds push there. One that this manager knows nothing of is taken for open. */
export function createRegistryAccess(options: RegistryOptions): (host: string) => RegistryAccess {
  return (host) => {
    if (host.toLowerCase() !== options.registry?.toLowerCase()) return OPEN;
    if (options.tokens) return { ...OPEN, tokens: true };
    if (options.user === null) return OPEN;
    return {
      tokens: false,
      registryAuth: { [host]: options.user },
      requiredExtensions: ['registry-auth'],
    };
  };
}
