import type { BuildArgumentsMessage } from '../../contract/build-arguments.ts';
import type { CapabilityStore, Claim } from '../../store/index.ts';
import { TRY_MAX_SECONDS } from '../limits.ts';
import type { RegistryAccess } from '../registry/registry-access.ts';
import { mintTryCredentials } from '../registry/try-credentials.ts';
import type { SecretBox } from '../secrets/secret-box.ts';
import {
  imageSecretsSchema,
  imageSpecSchema,
  secretsContext,
  type ImageSecrets,
  type ImageSpec,
} from '../submission/image-build.ts';
import { optionArguments } from '../submission/option-arguments.ts';

export interface HandOverDependencies {
  readonly capabilities: Pick<CapabilityStore, 'grant'>;
  readonly box: SecretBox;
  readonly registryAccess: (host: string) => RegistryAccess;
  /** Where workers reach our HTTP listener, without a slash at its end. */
  readonly publicUrl: string;
}

/**
 * Makes the arguments of `io.quay.builder.build` for a try (worker contract 0.3, "Build arguments"): its secrets opened, its
 * credentials minted. null: the try has ended meanwhile.
 *
 * @throws SealError when its secrets were sealed with a key that is not known here.
 */
export async function prepareHandOver(
  { build, lease, secrets: sealed }: Claim,
  { capabilities, box, registryAccess, publicUrl }: HandOverDependencies,
): Promise<BuildArgumentsMessage | null> {
  const spec = imageSpecSchema.parse(build.spec);
  const secrets: ImageSecrets =
    sealed === null ? {} : imageSecretsSchema.parse(JSON.parse(box.open(secretsContext(build.id), sealed)));
  const access = registryAccess(build.registry);
  const credentials = await mintTryCredentials(capabilities, {
    build,
    lease,
    tokens: access.tokens,
    hasPackage: spec.source.type === 'package',
    expiresInSeconds: TRY_MAX_SECONDS,
  });
  if (credentials === null) return null;
  const { push_token, pull_token, package_capability } = credentials;
  const args: BuildArgumentsMessage = {
    ...sourceArguments(spec.source, secrets),
    ...(package_capability === null ? {} : { build_package: `${publicUrl}/packages/${package_capability}` }),
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
    ...(access.registryAuth === undefined ? {} : { registry_auth: access.registryAuth }),
  };
  return args;
}

function sourceArguments(
  source: ImageSpec['source'],
  secrets: ImageSecrets,
): Pick<BuildArgumentsMessage, 'build_package' | 'git'> {
  if (source.type !== 'git') return { build_package: secrets.build_package ?? '' };
  const url = secrets.git_url ?? source.url;
  return { build_package: '', git: { url, sha: source.sha, private_key: secrets.private_key ?? '' } };
}
