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
} from './build-options.ts';
import { pathInPackage } from './package-paths.ts';
import { buildStates, workerPhases } from './phases.ts';
import { isPlainText, PLAIN_TEXT_RULE, requirePlainTexts } from './plain-text.ts';
import { isRegistryHost, isRepository, isTag } from './references.ts';
import { workerSelectorsSchema } from './worker-labels.ts';

/** The HTTP API's requests and answers, shared by the manager, the command line and the page. Times are ISO 8601, UTC. */

const time = z.iso.datetime();

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
  max_tries: z.int().min(1).max(10).default(3).meta({
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
  priority: z.int().min(-PRIORITY_MAX).max(PRIORITY_MAX).default(0).meta({
    description: 'Among the waiting builds of its namespace: higher goes first.',
  }),
  not_before: time.nullable().default(null).meta({ description: 'It starts at this time, or later.' }),
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

/** Why a build, or one of its tries, failed. */
const buildFailureSchema = z.object({
  code: z.string().meta({ description: 'A code of docs/errors.md.' }),
  message: z.string(),
  help: z.string(),
  base_error: z.string().meta({ description: "The failing part's own words, secrets masked." }),
});
export type BuildFailure = z.output<typeof buildFailureSchema>;

/** How a try ended; lost: its worker vanished. */
const tryOutcomes = ['complete', 'error', 'internalerror', 'cancelled', 'lost'] as const;

const trySchema = z.object({
  number: z.int().meta({ description: 'Counts from 1.' }),
  worker: z.string().nullable().meta({ description: 'The id of the worker, and its slot.' }),
  started_at: time,
  ended_at: time.nullable(),
  deadline: time
    .nullable()
    .meta({ description: 'By when its worker must have ended it; null until it has it.' }),
  phase: z.enum(workerPhases).nullable().meta({ description: 'The last phase it reached.' }),
  outcome: z
    .enum(tryOutcomes)
    .nullable()
    .meta({ description: 'null while it runs; lost: its worker, or its manager, vanished.' }),
  counted: z.boolean().meta({ description: 'Whether it uses up one of max_tries.' }),
  error: buildFailureSchema.nullable(),
});

const progressSchema = z.object({
  step: z.int().meta({ description: 'The last step that began, from 1.' }),
  steps: z.int().nullable(),
  instruction: z.string(),
});

const waitingSchema = z.object({
  reason: z
    .enum([
      'not_before',
      'backing_off',
      'no_worker',
      'no_match',
      'namespace_limit',
      'exclusive',
      'busy',
      'next',
    ])
    .meta({
      description:
        'not_before: its time has not come. backing_off: a try failed. no_worker: none is connected. no_match: none that is, and no executor, could ever take it. namespace_limit, exclusive: other builds run. busy: all that could take it are. next: it is about to start.',
    }),
  message: z.string().meta({ description: 'The same in words, with its figures.' }),
  until: time.nullable().meta({ description: 'It does not start before.' }),
  place: z
    .int()
    .meta({ description: 'Among the builds of its namespace that wait, from 1; 1001 is that or more.' }),
  usual: z.object({ starts: z.int(), median_seconds: z.int(), p90_seconds: z.int() }).nullable().meta({
    description:
      'How long the builds of its namespace waited that started lately, or those of all where these are few; null where too few did.',
  }),
});
export type Waiting = z.output<typeof waitingSchema>;

export const buildSchema = z.object({
  id: z.uuid(),
  kind: z.literal('image'),
  state: z.enum(buildStates),
  phase: z.enum(workerPhases).nullable().meta({ description: "The current try's phase." }),
  repository: z.string(),
  registry: z.string(),
  tag_names: z.array(z.string()),
  source: z.discriminatedUnion('type', [
    z.object({
      type: z.literal('package'),
      size: z.int().meta({ description: 'bytes' }),
      sha256: z.string(),
    }),
    z.object({ type: z.literal('url'), url: z.string() }),
    z.object({ type: z.literal('git'), url: z.string(), ref: z.string().nullable(), sha: z.string() }),
  ]),
  context: z.string(),
  dockerfile_path: z.string(),
  build_args: z.record(z.string(), z.string()),
  target: z.string(),
  labels: z.record(z.string(), z.string()),
  oci_labels: z.boolean(),
  platform: z.string(),
  cache_from: z.array(z.string()),
  cache_to: z.array(z.string()),
  push_to: z.array(z.string()),
  limits: z.object({ memory: z.int().optional(), cpus: z.number().optional() }),
  timeout: z.int().nullable(),
  silence_timeout: z.int().nullable(),
  network: networkSchema,
  worker_labels: z.array(z.string()),
  priority: z.int(),
  not_before: time.nullable().meta({ description: 'null once its time has come.' }),
  exclusive: z.boolean(),
  dedupe_key: z.string().nullable(),
  progress: progressSchema.nullable(),
  error: buildFailureSchema.nullable(),
  image_id: z.string().nullable(),
  digests: z.record(z.string(), z.string().nullable()).meta({
    description: 'By tag, sha256:…; null where the worker did not say which tag its digest belongs to.',
  }),
  submitted_by: z.string(),
  created_at: time,
  started_at: time.nullable().meta({ description: 'When its first try began.' }),
  ended_at: time.nullable(),
  tries: z.array(trySchema),
  max_tries: z.int(),
  tries_used: z.int().meta({ description: 'How many of max_tries are used up.' }),
  waiting: waitingSchema.nullable().default(null).meta({ description: 'Why it waits; null unless it does.' }),
});
export type Build = z.output<typeof buildSchema>;
export type Try = z.output<typeof trySchema>;

/** `GET /api/v1/builds`, newest first. */
export const buildListQuerySchema = z.strictObject({
  id_prefix: z
    .string()
    .regex(/^[0-9a-f-]{1,36}$/i, 'must be the beginning of an id: digits, letters from a to f, dashes')
    .optional()
    .meta({ description: 'Only builds whose id begins like this.', examples: ['3f2a'] }),
  state: z.enum(buildStates).optional(),
  repository: z.string().max(255).refine(isPlainText, PLAIN_TEXT_RULE).optional(),
  limit: z.coerce.number().int().min(1).max(500).default(50),
  cursor: z.string().max(256).optional().meta({ description: "The last answer's next_cursor." }),
});
export const buildListSchema = z.object({ builds: z.array(buildSchema), next_cursor: z.string().nullable() });

/** One piece of a build's log. */
export const logRecordSchema = z.object({
  try: z.int(),
  seq: z.int().meta({ description: 'Counts up within a try, from 1.' }),
  time,
  phase: z.enum(workerPhases).nullable(),
  step: z.int().nullable(),
  stream: z.enum(['output', 'status', 'progress', 'phase', 'note']).meta({
    description:
      "output: what the build printed, text as it came (it may end in mid-line). status: the engine's own words. progress: a transfer's state. phase: a phase began. note: the manager's words.",
  }),
  text: z.string(),
  progress: z
    .object({
      id: z.string().meta({ description: 'What is moved, often a layer.' }),
      current: z.number().nullable().meta({ description: 'bytes' }),
      total: z.number().nullable().meta({ description: 'bytes' }),
    })
    .optional(),
});
export type LogRecord = z.output<typeof logRecordSchema>;

const POSITION = /^(\d{1,9})\.(\d{1,15})$/;

/** A place in a build's log: everything up to and including record `seq` of `try`. `{0, 0}` is the beginning. */
export interface LogPosition {
  readonly try: number;
  readonly seq: number;
}
export const LOG_START: LogPosition = { try: 0, seq: 0 };

/** Writes a position as `try.seq`, the id of server-sent events. */
export function formatLogPosition(position: LogPosition): string {
  return `${position.try}.${position.seq}`;
}

/** Reads `try.seq`, or null. */
export function parseLogPosition(text: string): LogPosition | null {
  const match = POSITION.exec(text);
  return match ? { try: Number(match[1]), seq: Number(match[2]) } : null;
}

/**
 * `GET /api/v1/builds/{id}/log`. `Accept` chooses the form: `text/plain` (default), `application/x-ndjson` (records), or
 * `text/event-stream`, which follows: events `log` (a record, id `try.seq`), `build` (the build, when it changed), `end`.
 */
export const logQuerySchema = z.strictObject({
  after: z
    .string()
    .refine((text) => parseLogPosition(text) !== null, 'must be TRY.SEQ, as in the id of an event')
    .optional()
    .meta({
      description: 'Only what comes after this position; Last-Event-ID does the same.',
      examples: ['1.135'],
    }),
});

export const workerSchema = z.object({
  id: z.string(),
  slot: z.int(),
  slots: z.int(),
  kind: z.enum(['enterprise', 'hosted']),
  registered_as: z
    .string()
    .nullable()
    .meta({ description: 'The name of the ticket by which it registered.' }),
  state: z.enum(['joining', 'ready', 'busy', 'draining', 'drained']).meta({
    description: 'draining: its worker gets no more builds, and has one; drained: it has none.',
  }),
  labels: z.record(z.string(), z.string()),
  extensions: z.array(z.string()),
  address: z.string().meta({ description: 'Where its connection comes from.' }),
  manager: z.string(),
  connected_at: time,
  last_seen_at: time,
  build_id: z.uuid().nullable(),
});
export type Worker = z.output<typeof workerSchema>;

/** A worker that gets no builds, connected or not. */
const drainedWorkerSchema = z.object({
  id: z.string(),
  drained_by: z.string(),
  drained_at: time,
});
export const workerListSchema = z.object({
  workers: z.array(workerSchema),
  drained: z.array(drainedWorkerSchema),
});
export type WorkerList = z.output<typeof workerListSchema>;

/** `GET /api/v1/workers/{id}` */
export const workerQuerySchema = z.strictObject({
  limit: z.coerce
    .number()
    .int()
    .min(1)
    .max(500)
    .default(20)
    .meta({ description: 'How many tries are listed.' }),
});
export const workerHistorySchema = z.object({
  id: z.string(),
  state: z.enum(['away', 'ready', 'busy', 'draining', 'drained']).meta({
    description: 'Of the worker as a whole: busy while any slot is; away when none is connected.',
  }),
  drained: drainedWorkerSchema.nullable(),
  slots: z.array(workerSchema).meta({ description: 'Those that are connected.' }),
  running: z.int().meta({ description: 'How many tries it has now.' }),
  outcomes: z
    .record(z.enum(tryOutcomes), z.int())
    .meta({ description: 'How its tries ended, of builds that are kept.' }),
  tries: z
    .array(
      z.object({
        build_id: z.uuid(),
        repository: z.string(),
        tag_names: z.array(z.string()),
        number: z.int(),
        slot: z.int().nullable(),
        manager: z.string(),
        started_at: time,
        ended_at: time.nullable(),
        phase: z.enum(workerPhases).nullable(),
        outcome: z.enum(tryOutcomes).nullable(),
      }),
    )
    .meta({ description: 'Newest first.' }),
});
export type WorkerHistory = z.output<typeof workerHistorySchema>;

/** `DELETE /api/v1/workers/{id}` */
export const forgottenWorkerSchema = z.object({
  id: z.string(),
  slots: z.int().meta({ description: 'How many of its slots were connected.' }),
  builds: z.array(z.uuid()).meta({ description: 'What it built, which went back to the queue.' }),
});

const auditText = z.string().min(1).max(512).refine(isPlainText, PLAIN_TEXT_RULE);
const auditTime = z.iso.datetime({ offset: true });

/** `GET /api/v1/audit`, newest first. `Accept` chooses the form: JSON, or `application/x-ndjson`, an entry a line. */
export const auditQuerySchema = z.strictObject({
  actor: auditText.optional().meta({ description: 'Who did it.', examples: ['ci'] }),
  action: auditText.optional().meta({
    description: 'What was done, or to which kind: build is all of build.submit, build.cancel, ….',
    examples: ['build.cancel'],
  }),
  object: auditText.optional().meta({ description: 'The id of what it was done to.' }),
  since: auditTime.optional(),
  until: auditTime.optional().meta({ description: 'Before this time.' }),
  limit: z.coerce.number().int().min(1).max(500).optional().meta({
    description: 'How many; without it 50 in JSON, all in lines.',
  }),
  cursor: z.string().max(256).optional().meta({ description: "The last answer's next_cursor." }),
});
export type AuditQuery = z.output<typeof auditQuerySchema>;

const auditEntrySchema = z.object({
  id: z.int(),
  at: time,
  actor: z.string().meta({
    description:
      'The name of an API token, anonymous where the API is open, or KIND:NAME: ticket, command, manager.',
  }),
  address: z.string().nullable().meta({
    description: 'Where the request came from; null where it came from no network.',
  }),
  action: z.string(),
  object: z.string().meta({ description: 'The id of what it was done to.' }),
  detail: z.record(z.string(), z.unknown()),
});
export type AuditEntry = z.output<typeof auditEntrySchema>;
export const auditListSchema = z.object({
  entries: z.array(auditEntrySchema),
  next_cursor: z.string().nullable(),
});

/** `GET /status` (worker contract 0.3, "What the deployed manager does"). */
export const statusSchema = z.object({
  status: z.string(),
  running_local: z.int(),
  running_total: z.int(),
  workers: z.int(),
  job_total: z.int(),
});

/** Every refusal of the API. */
export const problemSchema = z.object({
  code: z.string().meta({ description: 'A code of docs/errors.md.' }),
  message: z.string().meta({ description: 'What happened.' }),
  help: z.string().meta({ description: 'What to do about it.' }),
  details: z
    .array(z.object({ path: z.string(), message: z.string() }))
    .optional()
    .meta({ description: 'Which parts of the request were refused.' }),
});
export type Problem = z.output<typeof problemSchema>;
