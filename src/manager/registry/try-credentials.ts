import type { BuildRow, CapabilityStore, Lease } from '../../store/index.ts';
import { hashSecret, newSecret } from '../secrets/tokens.ts';
import { furtherScopes, PACKAGE_SCOPE, pullScopes, pushScopes } from './scopes.ts';

/** What a try may do elsewhere: each secret is known to its worker alone, its hash to the store, and it dies with the try. */

/** The user that goes with a push or pull token (worker contract 0.3, "Build arguments"). */
export const TOKEN_USER = '$token';

export interface TryCredentials {
  /** Password of the user {@link TOKEN_USER} for pushing; empty where the registry is not ours to mint for. */
  readonly push_token: string;
  /** The same for pulling. */
  readonly pull_token: string;
  /** The same for {@link RegistryAccess.tokensElsewhere}, to pull from and to push further to; empty where there is none. */
  readonly elsewhere_token: string;
  /** The last part of the URL that the package is fetched from; null for a build without one. */
  readonly package_capability: string | null;
}

export interface MintRequest {
  readonly build: Pick<BuildRow, 'repository'>;
  readonly lease: Lease;
  /** Whether the registry that it pushes to takes tokens of this manager: `RegistryAccess.tokens`. */
  readonly tokens: boolean;
  /** The repositories that it is to be pushed as at another that does, beside pulling there; null where it has no token for that one. */
  readonly furtherRepositories: readonly string[] | null;
  /** What it may pull there beside its own namespace: repositories, `NAMESPACE/*` or `*`. */
  readonly readable: readonly string[];
  /** Whether it has an uploaded package. */
  readonly hasPackage: boolean;
  /** How long the try may last at most. */
  readonly expiresInSeconds: number;
}

/** Mints the credentials of a try. Null: the try has ended meanwhile. */
export async function mintTryCredentials(
  capabilities: Pick<CapabilityStore, 'grant'>,
  { build, lease, tokens, furtherRepositories, readable, hasPackage, expiresInSeconds }: MintRequest,
): Promise<TryCredentials | null> {
  const grants: { secret: string; scopes: string[] }[] = [];
  const mint = (wanted: boolean, scopes: string[]): string => {
    if (!wanted) return '';
    const secret = newSecret();
    grants.push({ secret, scopes });
    return secret;
  };
  const push = mint(tokens, pushScopes(build.repository, readable));
  const pull = mint(tokens, pullScopes(build.repository, readable));
  const elsewhere = mint(
    furtherRepositories !== null,
    furtherScopes(build.repository, furtherRepositories ?? [], readable),
  );
  const packageCapability = mint(hasPackage, [PACKAGE_SCOPE]);
  for (const { secret, scopes } of grants) {
    const granted = await capabilities.grant(lease, { hash: hashSecret(secret), scopes, expiresInSeconds });
    if (!granted) return null;
  }
  return {
    push_token: push,
    pull_token: pull,
    elsewhere_token: elsewhere,
    package_capability: hasPackage ? packageCapability : null,
  };
}
