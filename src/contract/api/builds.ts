import { z } from 'zod';
import { networkSchema } from '../build-options.ts';
import { buildStates, workerPhases } from '../phases.ts';
import { isPlainText, PLAIN_TEXT_RULE } from '../plain-text.ts';
import { cursorSchema } from './pages.ts';

const time = z.iso.datetime();

/** Why a build, or one of its tries, failed. */
const buildFailureSchema = z.object({
  code: z.string().meta({ description: 'A code of docs/errors.md.' }),
  message: z.string(),
  help: z.string(),
  base_error: z.string().meta({ description: "The failing part's own words, secrets masked." }),
});
export type BuildFailure = z.output<typeof buildFailureSchema>;

/** How a try ended; lost: its worker vanished. */
export const tryOutcomes = ['complete', 'error', 'internalerror', 'cancelled', 'lost'] as const;

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
      'drained',
      'no_match',
      'namespace_limit',
      'exclusive',
      'busy',
      'next',
    ])
    .meta({
      description:
        'not_before: its time has not come. backing_off: a try failed. no_worker: none is connected. drained: those that could take it are. no_match: none that is, and no executor, could ever take it. namespace_limit, exclusive: other builds run. busy: all that could take it are. next: it is about to start.',
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
  cursor: cursorSchema,
});
export const buildListSchema = z.object({ builds: z.array(buildSchema), next_cursor: z.string().nullable() });
