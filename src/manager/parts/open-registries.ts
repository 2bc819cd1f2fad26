import { proxiesOf } from '../../contract/network/settings.ts';
import type { ApiTokens } from '../http/api-tokens.ts';
import { openRegistryClient } from '../registry/client/open-registry-client.ts';
import type { RegistryClient } from '../registry/client/registry-client.ts';
import { openTokenServer } from '../registry/open-token-server.ts';
import { createRegistryAccess, type RegistryAccess } from '../registry/registry-access.ts';
import type { RegistryTokenServer } from '../registry/token-server.ts';
import type { ManagerState } from './open-state.ts';
import type { ManagerSurroundings } from './surroundings.ts';

/** How a manager stands to registries. */
export interface Registries {
  /** How tries get into each host. */
  readonly access: (host: string) => RegistryAccess;
  /** The token server of `REGISTRY`; null where it takes no tokens of this manager. */
  readonly tokenServer: RegistryTokenServer | null;
  /** Asks registries what they hold. */
  readonly client: RegistryClient;
}

/** Opens what a manager has to do with registries. Who has a token of the API may use the token server with it, too. */
export async function openRegistries(
  { settings, dataDirectory, logger, now, starting }: ManagerSurroundings,
  { store, box }: Pick<ManagerState, 'store' | 'box'>,
  apiTokens: ApiTokens | null,
): Promise<Registries> {
  const access = createRegistryAccess({
    registry: settings.REGISTRY,
    tokens: settings.REGISTRY_TOKEN_SERVICE !== null,
    user:
      settings.REGISTRY_USERNAME === null || settings.REGISTRY_PASSWORD === null
        ? null
        : { username: settings.REGISTRY_USERNAME, password: settings.REGISTRY_PASSWORD },
  });

  const tokenServer = await openTokenServer({
    service: settings.REGISTRY_TOKEN_SERVICE,
    store,
    box,
    tokens: apiTokens,
    dataDirectory,
    now,
  });
  const { client } = starting.use(
    openRegistryClient({
      registry: settings.REGISTRY,
      registryUrl: settings.REGISTRY_URL,
      privateAddresses: settings.PRIVATE_ADDRESSES,
      proxies: proxiesOf(settings),
      insecure: settings.INSECURE_REGISTRIES,
      logger,
      now: () => performance.now(),
    }),
  );
  return { access, tokenServer, client };
}
