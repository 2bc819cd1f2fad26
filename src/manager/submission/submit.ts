import type { BuildRequest } from '../../contract/api.ts';
import { extensionsNeeded } from '../../contract/build-arguments.ts';
import { namespaceOf } from '../../contract/references.ts';
import {
  NamespaceFull,
  type BuildStore,
  type BuildWithTries,
  type Demand,
  type WorkerStore,
} from '../../store/index.ts';
import type { SubmitBuild, UploadedPackage } from '../http/ports.ts';
import { ApiProblem } from '../http/problems.ts';
import type { RegistryAccess } from '../registry/registry-access.ts';
import type { SecretBox } from '../secrets/secret-box.ts';
import { NAMESPACE_RETRY_AFTER_SECONDS, NOT_BEFORE_MAX_DAYS } from './limits.ts';
import { IMAGE_KIND, secretsContext, type ImageSecrets, type ImageSpec } from './image-build.ts';
import { optionArguments } from './option-arguments.ts';
import type { ResolveRef } from './resolve-ref.ts';
import { readGitUrl, readPackageUrl } from './source-url.ts';

const DAY_MS = 86_400_000;

export interface SubmissionDependencies {
  readonly builds: Pick<BuildStore, 'submit'>;
  readonly workers: Pick<WorkerStore, 'canTake'>;
  readonly box: SecretBox;
  readonly resolveRef: ResolveRef;
  /** Where builds go that name no registry; null when there is no such place. */
  readonly defaultRegistry: string | null;
  readonly registryAccess: (host: string) => RegistryAccess;
  /** How many builds of a namespace may wait that has no limit of its own; null for any number. */
  readonly defaultMaxWaiting: number | null;
  /** The longest `timeout` and `silence_timeout` that a build may ask for. */
  readonly timeoutMaxSeconds: number;
  /** A new UUID. */
  readonly newId: () => string;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** Makes the one way in which a build gets into the queue: validated, its ref resolved to a commit, its secrets sealed. */
export function createSubmit(dependencies: SubmissionDependencies): SubmitBuild {
  const {
    builds,
    workers,
    box,
    defaultRegistry,
    registryAccess,
    defaultMaxWaiting,
    timeoutMaxSeconds,
    newId,
    now,
  } = dependencies;

  return async (request, uploaded, submittedBy) => {
    const registry = request.registry ?? defaultRegistry;
    if (registry === null) throw new ApiProblem('registry_missing');
    for (const name of ['timeout', 'silence_timeout'] as const) {
      if ((request[name] ?? 0) <= timeoutMaxSeconds) continue;
      const details = [{ path: name, message: `must be at most ${timeoutMaxSeconds}` }];
      throw new ApiProblem('timeout_too_long', { details });
    }
    const notBefore = request.not_before === null ? null : new Date(request.not_before);
    if (notBefore !== null && notBefore.getTime() > now() + NOT_BEFORE_MAX_DAYS * DAY_MS) {
      const details = [
        { path: 'not_before', message: `must be at most ${NOT_BEFORE_MAX_DAYS} days from now` },
      ];
      throw new ApiProblem('not_before_too_late', { details });
    }
    const { source, secrets } = await resolveSource(request, uploaded, dependencies.resolveRef);
    if (request.base_image) secrets.base_image = request.base_image;
    if (Object.keys(request.secrets).length > 0) secrets.secrets = request.secrets;
    if (Object.keys(request.registry_auth).length > 0) secrets.registry_auth = request.registry_auth;
    if (Object.keys(request.ssh).length > 0) secrets.ssh = request.ssh;
    const spec: ImageSpec = {
      source,
      context: request.context,
      dockerfile_path: request.dockerfile_path,
      build_args: request.build_args,
      target: request.target,
      labels: request.labels,
      oci_labels: request.oci_labels,
      platform: request.platform,
      cache_from: request.cache_from,
      cache_to: request.cache_to,
      push_to: request.push_to,
      limits: request.limits,
      timeout: request.timeout,
      silence_timeout: request.silence_timeout,
      network: request.network,
    };
    const id = newId();
    const hasSecrets = Object.keys(secrets).length > 0;
    const demand: Demand = {
      kind: IMAGE_KIND,
      namespace: namespaceOf(request.repository),
      requiredExtensions: [
        ...new Set([
          ...registryAccess(registry).requiredExtensions,
          ...extensionsNeeded(optionArguments(spec, secrets)),
        ]),
      ],
      // In one order: builds that ask for the same are one queue.
      workerLabels: [...new Set(request.worker_labels)].sort(),
      platform: request.platform === '' ? null : request.platform,
    };
    if (request.require_worker && !(await workers.canTake(demand))) {
      throw new ApiProblem('no_worker_fits');
    }
    const build = await put(builds, {
      ...demand,
      id,
      spec,
      secrets: hasSecrets ? box.seal(secretsContext(id), JSON.stringify(secrets)) : null,
      repository: request.repository,
      registry,
      tagNames: [...new Set(request.tag_names)],
      submittedBy: submittedBy.name,
      submittedFrom: submittedBy.address,
      priority: request.priority,
      maxTries: request.max_tries,
      exclusive: request.exclusive,
      defaultMaxWaiting,
      ...(notBefore === null ? {} : { notBefore }),
      ...(request.dedupe_key === null ? {} : { dedupeKey: request.dedupe_key }),
      ...(uploaded ? { packageId: uploaded.id } : {}),
    });
    return { build, isNew: build.id === id };
  };
}

async function put(
  builds: SubmissionDependencies['builds'],
  build: Parameters<BuildStore['submit']>[0],
): Promise<BuildWithTries> {
  try {
    return await builds.submit(build);
  } catch (error) {
    if (!(error instanceof NamespaceFull)) throw error;
    throw new ApiProblem('namespace_full', {
      cause: error,
      specifically: `${error.limit} of ${build.namespace} wait.`,
      retryAfterSeconds: NAMESPACE_RETRY_AFTER_SECONDS,
    });
  }
}

async function resolveSource(
  { build_package, git }: BuildRequest,
  uploaded: UploadedPackage | null,
  resolveRef: ResolveRef,
): Promise<{ source: ImageSpec['source']; secrets: ImageSecrets }> {
  const given = [uploaded, build_package, git].filter((each) => each !== null && each !== undefined);
  if (given.length !== 1) {
    throw new ApiProblem('source_ambiguous', { specifically: `This one has ${given.length}.` });
  }
  if (uploaded) {
    return { source: { type: 'package', size: uploaded.size, sha256: uploaded.sha256 }, secrets: {} };
  }
  if (build_package !== undefined) {
    const url = readPackageUrl(build_package);
    return { source: { type: 'url', url: url.shown }, secrets: { build_package: url.whole } };
  }
  if (git === undefined) throw new ApiProblem('source_ambiguous');
  const url = readGitUrl(git.url);
  if (url.ssh && (git.private_key ?? '').trim() === '') {
    throw new ApiProblem('git_url_refused', {
      specifically: 'It is one over ssh: give a private_key with it.',
    });
  }
  const ref = git.ref === undefined || git.ref === '' ? null : git.ref;
  return {
    source: { type: 'git', url: url.shown, ref, sha: await resolveRef(url, ref, git.private_key ?? '') },
    secrets: {
      git_url: url.whole,
      ...(git.private_key === undefined ? {} : { private_key: git.private_key }),
    },
  };
}
