import { z } from 'zod';
import {
  buildArgsSchema,
  cacheFromSchema,
  cacheToSchema,
  labelsSchema,
  limitsSchema,
  networkSchema,
  platformSchema,
  pushToSchema,
  secretsSchema,
  sshKeysSchema,
  targetSchema,
  timeoutSchema,
} from './build-options.ts';
import type { ExtensionName } from './extensions.ts';
import { isRegistryHost, isRepository, isTag } from './references.ts';

/** Of a token of a registry: a JWT that lists many scopes is some kilobytes long. */
const TOKEN_MAX_LENGTH = 65_536;

/** A text that may be left out. Managers written in Python say null for that. */
const optionalText = (maxLength: number) =>
  z
    .string()
    .max(maxLength)
    .nullish()
    .transform((text) => text ?? '');

/** An argument that says nothing may be an empty object, as `base_image` is. */
const gitSchema = z
  .object({
    url: optionalText(8192),
    sha: z.string().max(256).nullish(),
    /** An ssh key in PEM or OpenSSH form, or empty. */
    private_key: optionalText(65_536),
  })
  .refine(({ url, sha }) => url === '' || typeof sha === 'string', {
    path: ['sha'],
    error: 'must be a commit',
  })
  .transform(({ sha, ...git }) => ({ ...git, sha: sha ?? '' }));

/**
 * The kwargs of `io.quay.builder.build` (worker contract 0.3, "Build arguments"). Unknown names are ignored. The URL and
 * the commit of `git` are checked where they are used, because a wrong one is the user's error (`gitfailure`), not the manager's.
 */
export const buildArgumentsSchema = z.object({
  /** URL of an archive or of a lone Dockerfile; `""` when git is used. */
  build_package: optionalText(8192),
  /** Folder within the package that is the build context; `/` and `""` mean the package's root. */
  context: optionalText(4096),
  /** The Dockerfile's path relative to the context; empty means `Dockerfile`. */
  dockerfile_path: optionalText(4096),
  /** `namespace/name`. */
  repository: z.string().refine(isRepository, 'must be namespace/name in lower case'),
  /** `host[:port]`. */
  registry: z.string().refine(isRegistryHost, 'must be host or host:port'),
  /** Password of the user `$token` for pulling from `registry`; empty when it is open. */
  pull_token: optionalText(TOKEN_MAX_LENGTH),
  /** Password of the user `$token` for pushing to `registry`; empty when it is open. */
  push_token: optionalText(TOKEN_MAX_LENGTH),
  tag_names: z.array(z.string().refine(isTag, 'must be a tag')).min(1).max(64),
  git: gitSchema.nullish(),
  /** Credentials for a base image in our own registry. */
  base_image: z.object({ username: z.string().nullish(), password: z.string().nullish() }).nullish(),
  /** Extension `registry-auth`: credentials by registry host, offered to that host only. */
  registry_auth: z
    .record(
      z.string().refine(isRegistryHost, 'must be host or host:port'),
      z.object({ username: z.string(), password: z.string() }),
    )
    .optional(),
  /** Extension `build-options`: values of the Dockerfile's `ARG`s. */
  build_args: buildArgsSchema.optional(),
  /** Extension `build-options`: the stage that is built. */
  target: targetSchema.optional(),
  /** Extension `build-options`: labels of the image. */
  labels: labelsSchema.optional(),
  /** Extension `build-options`: false leaves out the labels that say where an image comes from. */
  oci_labels: z.boolean().optional(),
  /** Extension `secrets`: what steps may mount, by id. */
  secrets: secretsSchema.optional(),
  /** Extension `ssh`: private keys by the id by which steps may mount an agent that holds them. */
  ssh: sshKeysSchema.optional(),
  /** Extension `platform`: what the image is for. */
  platform: platformSchema.optional(),
  /** Extension `cache`: images whose layers may serve as cache. */
  cache_from: cacheFromSchema.optional(),
  /** Extension `cache`: tags that the image is pushed as too, for later builds' `cache_from`. */
  cache_to: cacheToSchema.optional(),
  /** Extension `push-to`: further references, `host[:port]/namespace/name:tag`, that the image is pushed as. */
  push_to: pushToSchema.optional(),
  /** Extension `resume`: which try this is, and how long the worker may take to come back when it loses its connection. */
  lease: z
    .object({
      build: z.uuid(),
      try: z.int().min(1),
      token: z.string().min(1).max(256),
      grace_seconds: z.number().min(0),
    })
    .optional(),
  /** Extension `limits`: what a step may use. */
  limits: limitsSchema.optional(),
  /** Extension `limits`: how long the build may take, in seconds. */
  timeout: timeoutSchema.optional(),
  /** Extension `limits`: how long its steps may print nothing, in seconds. */
  silence_timeout: timeoutSchema.optional(),
  /** Extension `network`: what its steps are connected to. */
  network: networkSchema.optional(),
});

/** What a worker is told to build. */
export type BuildArguments = z.output<typeof buildArgumentsSchema>;
/** What a manager sends: absent names take the schema's defaults. */
export type BuildArgumentsMessage = z.input<typeof buildArgumentsSchema>;

/** The extension that each argument beyond contract 0.3 belongs to. */
const extensionOfArgument = {
  registry_auth: 'registry-auth',
  build_args: 'build-options',
  target: 'build-options',
  labels: 'build-options',
  oci_labels: 'build-options',
  secrets: 'secrets',
  ssh: 'ssh',
  platform: 'platform',
  cache_from: 'cache',
  cache_to: 'cache',
  push_to: 'push-to',
  lease: 'resume',
  limits: 'limits',
  timeout: 'limits',
  silence_timeout: 'limits',
  network: 'network',
} as const satisfies Partial<Record<keyof BuildArguments, ExtensionName>>;

/** The arguments beyond contract 0.3. */
export type ExtensionArguments = Pick<BuildArgumentsMessage, keyof typeof extensionOfArgument>;

const extensionArguments = Object.entries(extensionOfArgument) as [keyof ExtensionArguments, ExtensionName][];

/** What a worker must have accepted so that these arguments mean something to it. */
export function extensionsNeeded(args: ExtensionArguments): ExtensionName[] {
  const needed = extensionArguments.filter(([name]) => args[name] !== undefined);
  return [...new Set(needed.map(([, extension]) => extension))];
}

/**
 * The kwargs of `io.quay.builder.build` without those of extensions that are not among these. To such a worker they are unknown
 * names, whatever they hold: its manager may mean something else by them.
 */
export function withoutExtensions(kwargs: unknown, accepted: ReadonlySet<ExtensionName>): unknown {
  if (typeof kwargs !== 'object' || kwargs === null) return kwargs;
  const unknown = new Set<string>(
    extensionArguments.filter(([, extension]) => !accepted.has(extension)).map(([name]) => name),
  );
  return Object.fromEntries(Object.entries(kwargs).filter(([name]) => !unknown.has(name)));
}

/** The answer to `build` when it succeeded. Workers written in Go say null for an empty list. */
export const buildResultSchema = z.object({
  /** The engine's id of the image. */
  image_id: optionalText(1024),
  /** Full references, `registry/namespace/name@sha256:…`. */
  digests: z
    .array(z.string().max(1024))
    .max(64)
    .nullish()
    .transform((digests) => digests ?? []),
  /** Extension `digests-by-tag`: the digest that each tag was pushed with. */
  digests_by_tag: z.record(z.string(), z.string()).optional(),
});
export type BuildResult = z.output<typeof buildResultSchema>;
