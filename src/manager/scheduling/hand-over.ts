import {
  buildArgumentsSchema,
  extensionsNeeded,
  type BuildArgumentsMessage,
} from '../../contract/build-arguments.ts';
import type { ExtensionName } from '../../contract/extensions.ts';
import { secretsOf } from '../../contract/masking.ts';
import { canonicalRegistry, readTagReference } from '../../contract/references.ts';
import type { CapabilityStore, Claim, Lease, LeaseStore, ReadableStore } from '../../store/index.ts';
import { LIFE_RESERVE_SECONDS, LIMITS_MARGIN_SECONDS, TRY_MAX_SECONDS } from '../limits.ts';
import type { Access } from '../registry/client/registry-client.ts';
import { mergeUsers, storedUsers, type RegistryUsers } from '../registry/credentials.ts';
import type { RegistryAccess } from '../registry/registry-access.ts';
import type { RegistryTokenServer } from '../registry/token-server.ts';
import { mintTryCredentials, TOKEN_USER, type TryCredentials } from '../registry/try-credentials.ts';
import type { SecretBox } from '../secrets/secret-box.ts';
import { hashSecret, newSecret } from '../secrets/tokens.ts';
import {
  imageSecretsSchema,
  imageSpecSchema,
  secretsContext,
  type ImageSecrets,
  type ImageSpec,
} from '../submission/image-build.ts';
import { optionArguments } from '../submission/option-arguments.ts';
import { ExtensionsMissing } from './extensions-missing.ts';

export interface HandOverDependencies {
  readonly capabilities: Pick<CapabilityStore, 'grant'>;
  readonly leases: Pick<LeaseStore, 'handOver'>;
  readonly readable: Pick<ReadableStore, 'get'>;
  /** What every build may pull of the registry whose token server we are: repositories, or `NAMESPACE/*`. */
  readonly publicRepositories: readonly string[];
  readonly box: SecretBox;
  readonly registryAccess: (host: string) => RegistryAccess;
  /** Where workers reach our HTTP listener, without a slash at its end. */
  readonly publicUrl: string;
  /** What bounds a try, where its build says nothing else, and at most. */
  readonly tryLimits: TryLimits;
  /** How long a worker that has the extension `resume` may be away. */
  readonly resumeGraceSeconds: number;
}

/** In seconds. */
interface TryLimits {
  /** How long a try may take. */
  readonly timeout: number;
  /** How long nothing may be heard of it. */
  readonly silence: number;
  /** What a build may ask for at most, of either. */
  readonly most: number;
}

/**
 * Makes the arguments of `io.quay.builder.build` for a try (worker contract 0.3, "Build arguments"): its secrets opened, its
 * credentials minted; with the extension `limits`, what bounds it; and with the extension `resume`, what the worker shows to come
 * back. Its time runs from now, and ends before its worker does that was started for it. null: the try has ended meanwhile.
 *
 * @throws SealError when its secrets were sealed with a key that is not known here.
 * @throws ExtensionsMissing when the worker would have to be told what it does not know; a deployed one refuses that.
 */
export async function prepareHandOver(
  claim: Claim,
  extensions: readonly ExtensionName[],
  dependencies: HandOverDependencies,
): Promise<BuildArgumentsMessage | null> {
  const { build, lease } = claim;
  const { capabilities, leases, readable, publicRepositories, registryAccess, tryLimits } = dependencies;
  const { tokens, tokensElsewhere } = registryAccess(build.registry);
  const spec = imageSpecSchema.parse(build.spec);
  const missing = extensionsNeeded(buildArguments(claim, NO_CREDENTIALS, dependencies)).filter(
    (name) => !extensions.includes(name),
  );
  if (missing.length > 0) throw new ExtensionsMissing(missing);
  // Other workers have no argument to be told of it, and do without.
  const hasTokenElsewhere = tokensElsewhere !== null && extensions.includes('registry-auth');
  const mayRead =
    tokens || hasTokenElsewhere ? [...publicRepositories, ...(await readable.get(build.namespace))] : [];
  const credentials = await mintTryCredentials(capabilities, {
    build,
    lease,
    tokens,
    furtherRepositories: hasTokenElsewhere ? repositoriesAt(tokensElsewhere, spec.push_to) : null,
    readable: mayRead,
    hasPackage: spec.source.type === 'package',
    expiresInSeconds: TRY_MAX_SECONDS,
  });
  if (credentials === null) return null;
  const silence_timeout = Math.min(spec.silence_timeout ?? tryLimits.silence, tryLimits.most);
  const keepsLimits = extensions.includes('limits');
  const token = extensions.includes('resume') ? newSecret() : null;
  const timeout = await leases.handOver(lease, {
    resumeHash: token === null ? null : hashSecret(token),
    timeoutSeconds: Math.min(spec.timeout ?? tryLimits.timeout, tryLimits.most),
    silenceSeconds: silence_timeout,
    marginSeconds: keepsLimits ? LIMITS_MARGIN_SECONDS : 0,
    lifeReserveSeconds: LIFE_RESERVE_SECONDS,
  });
  if (timeout === null) return null;
  return {
    ...buildArguments(claim, credentials, dependencies),
    ...(keepsLimits ? { timeout, silence_timeout } : {}),
    ...(token === null ? {} : { lease: shownLease(lease, token, dependencies) }),
  };
}

/** The repositories of a registry that these references name. */
function repositoriesAt(registry: string, references: readonly string[]): string[] {
  const read = references.map(readTagReference).filter((each) => each !== null);
  return read
    .filter(({ host }) => canonicalRegistry(host) === canonicalRegistry(registry))
    .map(({ repository }) => repository);
}

/** What a worker shows that comes back with its build (extension `resume`). */
function shownLease(
  { buildId, try: number }: Lease,
  token: string,
  { resumeGraceSeconds }: HandOverDependencies,
): BuildArgumentsMessage['lease'] {
  return { build: buildId, try: number, token, grace_seconds: resumeGraceSeconds };
}

/** The secrets of a build that anybody with its claim can know: those minted for a try are known to its worker alone. */
export function buildSecrets(claim: Claim, dependencies: HandOverDependencies): string[] {
  const args = buildArguments(claim, NO_CREDENTIALS, dependencies);
  return secretsOf(buildArgumentsSchema.parse(args));
}

const NO_CREDENTIALS: TryCredentials = {
  push_token: '',
  pull_token: '',
  elsewhere_token: '',
  package_capability: null,
};

/**
 * Who a build is when its registry is asked for an image that may prime the cache.
 *
 * @throws SealError when its credentials were sealed with a key that is not known here.
 */
export async function cacheAccess(
  claim: Claim,
  dependencies: Pick<HandOverDependencies, 'box' | 'registryAccess'>,
  registryTokens: Pick<RegistryTokenServer, 'pullToken'> | null,
): Promise<Access> {
  const { registry, repository } = claim.build;
  if (registryTokens !== null && dependencies.registryAccess(registry).tokens) {
    return { token: await registryTokens.pullToken(repository) };
  }
  const users = registryUsers(claim, openSecrets(claim, dependencies.box), dependencies);
  const user = Object.entries(users).find(
    ([host]) => canonicalRegistry(host) === canonicalRegistry(registry),
  )?.[1];
  return user ? { user } : null;
}

function buildArguments(
  claim: Claim,
  { push_token, pull_token, elsewhere_token, package_capability }: TryCredentials,
  dependencies: HandOverDependencies,
): BuildArgumentsMessage {
  const { build } = claim;
  const spec = imageSpecSchema.parse(build.spec);
  const secrets = openSecrets(claim, dependencies.box);
  const { tokensElsewhere } = dependencies.registryAccess(build.registry);
  const users = mergeUsers(
    tokensElsewhere === null || elsewhere_token === ''
      ? {}
      : { [tokensElsewhere]: { username: TOKEN_USER, password: elsewhere_token } },
    registryUsers(claim, secrets, dependencies),
  );
  return {
    ...sourceArguments(spec.source, secrets),
    ...(package_capability === null
      ? {}
      : { build_package: `${dependencies.publicUrl}/packages/${package_capability}` }),
    // Deployed workers take an empty path for a missing Dockerfile.
    context: spec.context || '/',
    dockerfile_path: spec.dockerfile_path || 'Dockerfile',
    repository: build.repository,
    registry: build.registry,
    pull_token,
    push_token,
    tag_names: [...build.tagNames],
    base_image: secrets.base_image ?? {},
    ...optionArguments(spec, secrets),
    ...(Object.keys(users).length === 0 ? {} : { registry_auth: users }),
  };
}

function openSecrets({ build, secrets }: Claim, box: SecretBox): ImageSecrets {
  return secrets === null
    ? {}
    : imageSecretsSchema.parse(JSON.parse(box.open(secretsContext(build.id), secrets)));
}

/** What the build says of a registry goes before what its namespace has stored, and that before what this manager has. */
function registryUsers(
  claim: Claim,
  { registry_auth }: ImageSecrets,
  { box, registryAccess }: Pick<HandOverDependencies, 'box' | 'registryAccess'>,
): RegistryUsers {
  return mergeUsers(registryAccess(claim.build.registry).users, storedUsers(claim, box), registry_auth);
}

function sourceArguments(
  source: ImageSpec['source'],
  secrets: ImageSecrets,
): Pick<BuildArgumentsMessage, 'build_package' | 'git'> {
  if (source.type !== 'git') return { build_package: secrets.build_package ?? '' };
  const url = secrets.git_url ?? source.url;
  return { build_package: '', git: { url, sha: source.sha, private_key: secrets.private_key ?? '' } };
}
