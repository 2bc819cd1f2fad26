import { randomUUID } from 'node:crypto';
import { SignJWT } from 'jose';
import type { CapabilityStore } from '../../store/index.ts';
import { CLOCK_SKEW_SECONDS, REGISTRY_TOKEN_MAX_SECONDS } from '../limits.ts';
import { hashSecret } from '../secrets/tokens.ts';
import { grantedAccess } from './scopes.ts';
import type { SigningKey } from './signing-key.ts';

/**
 * The token server of a registry (Docker Registry v2 "Token Authentication Specification"): an engine that pushes shows the
 * credentials of a try here, and gets a token for what that try may do.
 */

/** The issuer that the registry's `auth: token` section names. */
export const TOKEN_ISSUER = 'quay-build-manager';
/** The user that goes with a push or pull token (worker contract 0.3, "Build arguments"). */
const TOKEN_USERNAME = '$token';

export interface TokenRequest {
  readonly service: string;
  /** As the client wrote them: each may hold several, apart by spaces. */
  readonly scopes: readonly string[];
  /** Null when there were none. */
  readonly credentials: Credentials | null;
}

interface Credentials {
  readonly username: string;
  readonly password: string;
}

/** Who shows good credentials, and what they may do. */
interface Subject {
  readonly name: string;
  readonly scopes: readonly string[];
  /** Milliseconds since 1970; null where they do not end by themselves. */
  readonly endsAt: number | null;
}

/** The answer to a client whose credentials are good, also where they allow nothing of what it asked. */
interface TokenAnswer {
  readonly token: string;
  readonly access_token: string;
  /** seconds */
  readonly expires_in: number;
  readonly issued_at: string;
}

export interface RegistryTokenServer {
  /** `denied`: no credentials, or none that are good; `wrong-service`: the token would be for another registry. */
  answer(request: TokenRequest): Promise<TokenAnswer | 'denied' | 'wrong-service'>;
  /** PEM, for the registry's `rootcertbundle`. */
  readonly certificates: string;
}

export interface TokenServerOptions {
  readonly capabilities: Pick<CapabilityStore, 'find'>;
  /** What a person who logs in may do, as scopes, or null; absent where nobody can. */
  readonly users?: ((credentials: Credentials) => Promise<readonly string[] | null>) | undefined;
  readonly signingKey: SigningKey;
  /** The registry's `service`: the tokens' audience. */
  readonly service: string;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

export function createRegistryTokenServer(options: TokenServerOptions): RegistryTokenServer {
  const { signingKey, service, now } = options;
  return {
    certificates: signingKey.certificates,

    async answer({ service: asked, scopes, credentials }) {
      if (asked !== service) return 'wrong-service';
      const subject = credentials && (await findSubject(credentials, options));
      if (subject === null) return 'denied';

      const issuedAt = Math.floor(now() / 1000);
      const endsAt = Math.floor((subject.endsAt ?? Infinity) / 1000);
      const expiresAt = Math.min(issuedAt + REGISTRY_TOKEN_MAX_SECONDS, endsAt);
      const token = await new SignJWT({ access: grantedAccess(scopes, subject.scopes) })
        .setProtectedHeader({ alg: 'ES256', typ: 'JWT', x5c: [signingKey.x5c] })
        .setIssuer(TOKEN_ISSUER)
        .setAudience(service)
        .setSubject(subject.name)
        .setIssuedAt(issuedAt)
        .setNotBefore(issuedAt - CLOCK_SKEW_SECONDS)
        .setExpirationTime(expiresAt)
        .setJti(randomUUID())
        .sign(signingKey.privateKey);
      return {
        token,
        access_token: token,
        expires_in: Math.max(expiresAt - issuedAt, 0),
        issued_at: new Date(issuedAt * 1000).toISOString(),
      };
    },
  };
}

/** A try by its push or pull token, or a person who logs in. */
async function findSubject(
  credentials: Credentials,
  { capabilities, users }: TokenServerOptions,
): Promise<Subject | null> {
  if (credentials.username === TOKEN_USERNAME) {
    const capability = await capabilities.find(hashSecret(credentials.password));
    if (capability === null) return null;
    const { buildId, try: number, scopes, expiresAt } = capability;
    return { name: `build/${buildId}/${number}`, scopes, endsAt: expiresAt.getTime() };
  }
  const scopes = (await users?.(credentials)) ?? null;
  return scopes && { name: `user/${credentials.username}`, scopes, endsAt: null };
}
