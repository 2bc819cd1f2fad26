import type { Store } from '../../store/index.ts';
import type { ApiTokens } from '../http/api-tokens.ts';
import type { SecretBox } from '../secrets/secret-box.ts';
import { userScopes } from './scopes.ts';
import { openSigningKeys } from './signing-keys.ts';
import { writeCertificates } from './certificates-file.ts';
import { createRegistryTokenServer, type RegistryTokenServer } from './token-server.ts';

export interface OwnTokenServerOptions {
  /** The registry's `service`; null where this manager is no registry's token server. */
  readonly service: string | null;
  readonly store: Pick<Store, 'keys' | 'capabilities'>;
  readonly box: SecretBox;
  /** Who may log in by hand: users of the API, each by a token. */
  readonly tokens: ApiTokens | null;
  readonly dataDirectory: string;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/**
 * The registry's token server, where the manager is one. The certificates that the registry trusts are written to
 * `registry-token.pem` in the data folder.
 *
 * @throws SealError when the signing key was sealed with a key that is not known here.
 */
export async function openTokenServer(options: OwnTokenServerOptions): Promise<RegistryTokenServer | null> {
  const { service, store, box, tokens, dataDirectory, now } = options;
  if (service === null) return null;
  const signingKeys = await openSigningKeys(store.keys, box, now);
  await writeCertificates(dataDirectory, signingKeys);
  return createRegistryTokenServer({
    capabilities: store.capabilities,
    users: async ({ username, password }) => {
      const caller = (await tokens?.authenticate(password)) ?? null;
      return caller?.name === username ? userScopes(caller.scopes) : null;
    },
    signingKeys,
    service,
    now,
  });
}
