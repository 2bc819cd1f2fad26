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
  registryAuthSchema,
  secretsSchema,
  sshKeysSchema,
  targetSchema,
  timeoutSchema,
} from '../build-options.ts';
import { pathInPackage } from '../package-paths.ts';
import { requirePlainTexts } from '../plain-text.ts';
import { isRegistryHost, isRepository, isTag } from '../references.ts';
import { wholeNumber } from '../whole-number.ts';
import { workerSelectorsSchema } from '../worker-labels.ts';

/** The highest priority of a build, and with a minus the lowest. */
const PRIORITY_MAX = 1000;

/** `POST /api/v1/builds`. Exactly one source: the part `package`, `build_package`, or `git`. */
const buildRequestFields = z.strictObject({
  repository: z
    .string()
    .refine(isRepository, 'must be namespace/name, in lower case, as a registry accepts it')
    .meta({ description: 'namespace/name', examples: ['team/app'] }),
  registry: z
    .string()
    .refine(isRegistryHost, 'must be host or host:port')
    .optional()
    .meta({
      description: "Where to push; the manager's own registry when absent.",
      examples: ['registry.example:5000'],
    }),
  tag_names: z
    .array(z.string().refine(isTag, 'must be a tag: a letter, digit or _, then up to 127 of [A-Za-z0-9_.-]'))
    .min(1)
    .max(64)
    .default(['latest']),
  context: z
    .string()
    .max(4096)
    .default('')
    .meta({ description: "Folder within the package; '' is its root." }),
  dockerfile_path: z
    .string()
    .max(4096)
    .default('')
    .meta({ description: "The Dockerfile's path relative to the context; '' is Dockerfile." }),
  build_package: z
    .url({ protocol: /^https?$/ })
    .max(8192)
    .optional()
    .meta({ description: 'URL of an archive or a lone Dockerfile, fetched by the worker.' }),
  git: z
    .strictObject({
      url: z
        .string()
        .min(1)
        .max(8192)
        .meta({ examples: ['https://git.example/team/app.git'] }),
      ref: z.string().max(1024).optional().meta({
        description:
          'A branch, a tag or a whole commit id; the default branch when absent. Resolved to its commit at once.',
      }),
      private_key: z
        .string()
        .max(65_536)
        .optional()
        .meta({ description: 'An ssh key; encrypted at rest, never shown again.' }),
    })
    .optional(),
  base_image: z
    .strictObject({ username: z.string().max(256), password: z.string().max(4096) })
    .optional()
    .meta({ description: 'Credentials for base images in the registry that is pushed to.' }),
  build_args: buildArgsSchema.default({}).meta({
    description: "Values of the Dockerfile's ARGs. No place for secrets: the image's history shows them.",
    examples: [{ VERSION: '1.4' }],
  }),
  target: targetSchema
    .default('')
    .meta({ description: "The stage to build, by name or number; '' is the last." }),
  labels: labelsSchema.default({}).meta({
    description: "Labels of the image; they win over the Dockerfile's.",
    examples: [{ 'org.opencontainers.image.title': 'app' }],
  }),
  oci_labels: z.boolean().default(true).meta({
    description:
      'Whether the worker labels the image with where it comes from: org.opencontainers.image.created, .source, .revision and .base.name.',
  }),
  secrets: secretsSchema.default({}).meta({
    description:
      'What steps may mount with RUN --mount=type=secret, by id; encrypted at rest, never shown again. It needs BuildKit.',
    examples: [{ npmrc: '//registry.example/:_authToken=…' }],
  }),
  ssh: sshKeysSchema.default({}).meta({
    description:
      'Private keys without a passphrase, by the id by which steps mount an agent that holds them (RUN --mount=type=ssh,id=…; a mount without an id means default); encrypted at rest, never shown again. It needs BuildKit.',
    examples: [{ default: '-----BEGIN OPENSSH PRIVATE KEY-----\n…' }],
  }),
  registry_auth: registryAuthSchema.default({}).meta({
    description:
      'Who the build is at registries, by host: for bases and cache there, and for the registry that is pushed to in the place of what this manager has for it. Each is offered to its own host alone; encrypted at rest, never shown again.',
    examples: [{ 'registry.example:5000': { username: 'robot', password: '…' } }],
  }),
  platform: platformSchema.default('').meta({
    description: "What the image is for, one platform; '' is the engine's own.",
    examples: ['linux/arm64'],
  }),
  cache_from: cacheFromSchema.default([]).meta({
    description:
      'Images whose layers may serve as cache. One that this build may not pull, or that is not there, is left out.',
    examples: [['registry.example/team/app:cache']],
  }),
  cache_to: cacheToSchema.default([]).meta({
    description:
      'Further tags of the repository that the image is pushed as, so that a later build may name them in cache_from. One that cannot be pushed fails nothing.',
    examples: [['cache']],
  }),
  push_to: pushToSchema.default([]).meta({
    description:
      'Further references that the image is pushed as, at registries for which `registry_auth` may say who the build is. Only where the worker allows it (`PUSH_TO`). One that cannot be pushed ends the build with an error.',
    examples: [['mirror.example/team/app:v1']],
  }),
  limits: limitsSchema.default({}).meta({
    description:
      'What each step may use. BuildKit keeps no such limits, which the log of the build then says; the classic builder does.',
    examples: [{ memory: 1_073_741_824, cpus: 1.5 }],
  }),
  timeout: timeoutSchema.nullable().default(null).meta({
    description:
      "Seconds that a try may take, from when its worker has it; it ends with builderror. The manager's BUILD_TIMEOUT_SECONDS when absent.",
  }),
  silence_timeout: timeoutSchema.nullable().default(null).meta({
    description:
      "Seconds that the steps may print nothing; the build ends with builderror. The manager's BUILD_SILENCE_SECONDS when absent.",
  }),
  max_tries: wholeNumber(1, 10).default(3).meta({
    description:
      'How many tries it has: one is used up by an internal error, or by losing its worker. The errors of the build itself end it at once.',
  }),
  network: networkSchema.default('default').meta({
    description: 'What steps are connected to. host is for workers whose operator allows it (ENTITLEMENTS).',
  }),
  worker_labels: workerSelectorsSchema.default([]).meta({
    description:
      'What the worker must say of itself: NAME=VALUE (several with | between them), NAME=* for any value, NAME!=VALUE, or !NAME for a worker without it.',
    examples: [['zone=north', 'disk=*', '!shared']],
  }),
  require_worker: z.boolean().default(false).meta({
    description:
      'Whether the build is refused when no worker that is connected, and no executor, could ever take it. Else it waits for one.',
  }),
  priority: wholeNumber(-PRIORITY_MAX, PRIORITY_MAX).default(0).meta({
    description: 'Among the waiting builds of its namespace: higher goes first.',
  }),
  not_before: z.iso
    .datetime({ offset: true, error: 'must be a time with its zone, as 2026-11-20T08:00:00Z' })
    .nullable()
    .default(null)
    .meta({ description: 'It starts at this time, or later; at most a year from now.' }),
  exclusive: z.boolean().default(false).meta({
    description: 'Whether it waits while another build of its repository runs that has one of its tags.',
  }),
  dedupe_key: z
    .string()
    .min(1)
    .max(256)
    .nullable()
    .default(null)
    .meta({
      description:
        'While a build of its namespace with this key has not ended, no other is made: the answer is that build, with status 200.',
      examples: ['push 8f2c1e'],
    }),
});
export const buildRequestSchema = buildRequestFields
  .superRefine(requirePlainTexts)
  .superRefine(requirePathsInPackage);
export type BuildRequest = z.output<typeof buildRequestSchema>;
export type BuildRequestBody = z.input<typeof buildRequestSchema>;

/** The context may lie anywhere in the package; the Dockerfile also above the context, as the worker finds them. */
function requirePathsInPackage(
  { context: folder, dockerfile_path }: z.output<typeof buildRequestFields>,
  context: z.core.$RefinementCtx,
): void {
  const refuse = (name: string, message: string): void =>
    context.addIssue({ code: 'custom', message, path: [name] });
  const contextFolder = pathInPackage('', folder);
  if (contextFolder === null) {
    refuse('context', 'leaves the package: name a folder in it, by its path from the root');
  } else if (pathInPackage(contextFolder, dockerfile_path) === null) {
    refuse(
      'dockerfile_path',
      'leaves the package: from the context, it may go up to the root and no further',
    );
  }
}
