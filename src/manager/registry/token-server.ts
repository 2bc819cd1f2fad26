import { randomUUID } from 'node:crypto';
import { SignJWT } from 'jose';
import type { CapabilityStore } from '../../store/index.ts';
import { CLOCK_SKEW_SECONDS, OWN_TOKEN_SECONDS, REGISTRY_TOKEN_MAX_SECONDS } from '../limits.ts';
import { hashSecret } from '../secrets/tokens.ts';
import { grantedAccess, type AccessEntry } from './scopes.ts';
import type { SigningKey, SigningKeys } from './signing-keys.ts';
import { TOKEN_USER } from './try-credentials.ts';

/**
 * The token server of a registry (Docker Registry v2 "Token Authentication Specification"): an engine that pushes shows the
 * credentials of a try here, and gets a token for what that try may do.
 */

/** The issuer that the registry's `auth: token` section names. */
export const TOKEN_ISSUER = 'quay-build-manager';

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
  /** A token for ourselves, to ask the registry about a repository. */
  pullToken(repository: string): Promise<string>;
  /** PEM, for the registry's `rootcertbundle`. */
  certificates(): Promise<string>;
}

export interface TokenServerOptions {
  readonly capabilities: Pick<CapabilityStore, 'find'>;
  /** What a person who logs in may do, as scopes, or null; absent where nobody can. */
  readonly users?: ((credentials: Credentials) => Promise<readonly string[] | null>) | undefined;
  readonly signingKeys: Pick<SigningKeys, 'current' | 'certificates'>;
  /** The registry's `service`: the tokens' audience. */
  readonly service: string;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

export function createRegistryTokenServer(options: TokenServerOptions): RegistryTokenServer {
  const { signingKeys, service, now } = options;
  return {
    certificates: () => signingKeys.certificates(),

    async pullToken(repository) {
      const issuedAt = Math.floor(now() / 1000);
      return signToken(await signingKeys.current(), {
        access: [{ type: 'repository', name: repository, actions: ['pull'] }],
        service,
        subject: 'manager',
        issuedAt,
        expiresAt: issuedAt + OWN_TOKEN_SECONDS,
      });
    },

    async answer({ service: asked, scopes, credentials }) {
      if (asked !== service) return 'wrong-service';
      const subject = credentials && (await findSubject(credentials, options));
      if (subject === null) return 'denied';

      const issuedAt = Math.floor(now() / 1000);
      const endsAt = Math.floor((subject.endsAt ?? Infinity) / 1000);
      const expiresAt = Math.min(issuedAt + REGISTRY_TOKEN_MAX_SECONDS, endsAt);
      const token = await signToken(await signingKeys.current(), {
        access: grantedAccess(scopes, subject.scopes),
        service,
        subject: subject.name,
        issuedAt,
        expiresAt,
      });
      return {
        token,
        access_token: token,
        expires_in: Math.max(expiresAt - issuedAt, 0),
        issued_at: new Date(issuedAt * 1000).toISOString(),
      };
    },
  };
}

interface TokenClaims {
  readonly access: readonly AccessEntry[];
  readonly service: string;
  readonly subject: string;
  /** Seconds since 1970. */
  readonly issuedAt: number;
  readonly expiresAt: number;
}

/** A token as the registry reads it (Docker Registry v2 "Token Authentication Implementation"). */
export function signToken(
  { privateKey, x5c }: SigningKey,
  { access, service, subject, issuedAt, expiresAt }: TokenClaims,
): Promise<string> {
  return new SignJWT({ access })
    .setProtectedHeader({ alg: 'ES256', typ: 'JWT', x5c: [x5c] })
    .setIssuer(TOKEN_ISSUER)
    .setAudience(service)
    .setSubject(subject)
    .setIssuedAt(issuedAt)
    .setNotBefore(issuedAt - CLOCK_SKEW_SECONDS)
    .setExpirationTime(expiresAt)
    .setJti(randomUUID())
    .sign(privateKey);
}

/** A try by its push or pull token, or a person who logs in. */
async function findSubject(
  credentials: Credentials,
  { capabilities, users }: TokenServerOptions,
): Promise<Subject | null> {
  if (credentials.username === TOKEN_USER) {
    const capability = await capabilities.find(hashSecret(credentials.password));
    if (capability === null) return null;
    const { buildId, try: number, scopes, expiresAt } = capability;
    return { name: `build/${buildId}/${number}`, scopes, endsAt: expiresAt.getTime() };
  }
  const scopes = (await users?.(credentials)) ?? null;
  return scopes && { name: `user/${credentials.username}`, scopes, endsAt: null };
}
