import { z } from 'zod';
import { requirePlainTexts } from './plain-text.ts';

/**
 * What we add to contract 0.3. A worker offers extensions in HELLO `authextra`, the manager answers in WELCOME `authextra`
 * with those it accepts; a deployed peer ignores both, and nothing of an extension is used before it was accepted.
 *
 * - `log-batch`: log records and phase changes travel many at a time, through `managerProcedures.logBatch`.
 * - `cancel`: the manager publishes `topics.cancel` in the worker's realm.
 * - `registry-auth`: the build argument `registry_auth`.
 * - `digests-by-tag`: the result's `digests_by_tag`.
 * - `build-options`: the build arguments `build_args`, `target`, `labels` and `oci_labels`.
 * - `secrets`: the build argument `secrets`.
 * - `ssh`: the build argument `ssh`.
 * - `platform`: the build argument `platform`.
 * - `cache`: the build arguments `cache_from` and `cache_to`.
 * - `resume` (with `log-batch`): the build argument `lease`, with which a worker that lost its connection rejoins its realm and goes
 *   on (HELLO and WELCOME `authextra.resume`); `managerProcedures.result` and `managerProcedures.forsake`.
 * - `limits`: the build arguments `limits`, `timeout` and `silence_timeout`.
 * - `network`: the build argument `network`.
 * - `push-to`: the build argument `push_to`.
 */
export const extensionNames = [
  'log-batch',
  'cancel',
  'registry-auth',
  'digests-by-tag',
  'build-options',
  'secrets',
  'ssh',
  'platform',
  'cache',
  'resume',
  'limits',
  'network',
  'push-to',
] as const;
export type ExtensionName = (typeof extensionNames)[number];

const extensionList = z
  .array(z.string().max(64))
  .max(64)
  .transform((names) => extensionNames.filter((name) => names.includes(name)));

/** Shows that a try is one's own: what the build argument `lease` said. */
export const leaseClaimSchema = z.object({
  build: z.uuid(),
  try: z.int().min(1),
  lease_token: z.string().min(1).max(256),
});
export type LeaseClaim = z.output<typeof leaseClaimSchema>;

/**
 * Extension `resume`: HELLO `authextra.resume` in the realm in which the build was handed over. It displaces whoever is there;
 * ABORT says why not ({@link resumeRefusals}).
 */
const resumeRequestSchema = leaseClaimSchema.extend({
  /** The last log message that the worker knows to be stored; 0 for none. */
  last_seq: z.int().min(0),
});
export type ResumeRequest = z.output<typeof resumeRequestSchema>;

/** Why a try cannot be resumed: URIs of ABORT. Any other may be tried again. */
export const resumeRefusals = {
  /** Its build was cancelled. */
  cancelled: 'io.quay.builder.resume.cancelled',
  /** It has ended, by its result or by being given to another worker. */
  ended: 'io.quay.builder.resume.ended',
  /** There is no such try in this realm, or the token is not its own. */
  unknown: 'io.quay.builder.resume.unknown',
} as const;

/** The longest name of a worker, in characters. */
export const WORKER_ID_MAX_LENGTH = 128;

/** HELLO `authextra`, in a worker's realm. */
export const workerOfferSchema = z.object({
  extensions: extensionList.default([]),
  worker: z
    .object({
      /** The same for all slots of a worker, and after it restarts. */
      id: z.string().min(1).max(WORKER_ID_MAX_LENGTH),
      /** Counts from 0. */
      slot: z.int().min(0).max(1023).default(0),
      slots: z.int().min(1).max(1024).default(1),
      labels: z.record(z.string().max(64), z.string().max(256)).default({}),
      kinds: z.array(z.string().max(64)).max(16).default(['image']),
    })
    .superRefine(requirePlainTexts)
    .optional(),
  resume: resumeRequestSchema.optional(),
});
export type WorkerOffer = z.output<typeof workerOfferSchema>;

/** WELCOME `authextra`, in a worker's realm. */
export const managerAcceptanceSchema = z.object({
  extensions: extensionList.default([]),
  /** Extension `resume`: the try is the worker's again, and this is the last log message of it that is stored. */
  resume: z.object({ last_seq: z.int().min(0) }).optional(),
});

/** How many messages one `log-batch` call may carry. */
export const LOG_BATCH_MAX_MESSAGES = 1000;

/**
 * The kwargs of `managerProcedures.logBatch`: what would have been as many calls of `logmessagesynchronously`, in order.
 * Answered `[true|false]` as that is. `sequence` numbers the first message and counts up within a try from 1, so that a
 * batch that is sent again is stored once.
 */
export const logBatchSchema = z.object({
  sequence: z.int().min(1),
  messages: z
    .array(
      z.object({
        phase: z.string().max(64),
        json_data: z.string(),
        /** When the worker saw it, in milliseconds since 1970. */
        time: z.number(),
      }),
    )
    .min(1)
    .max(LOG_BATCH_MAX_MESSAGES),
});
export type LogBatch = z.output<typeof logBatchSchema>;

/**
 * Extension `resume`: the kwargs of `managerProcedures.result`, which says what `build` will be answered with, or would have been
 * before the connection was lost. Answered when it is stored: `[true]`, or `[false]` when the try had ended otherwise.
 */
export const resultReportSchema = z.union([
  z.object({ error: z.string().max(256), base_error: z.string().default('') }),
  z.object({ result: z.record(z.string(), z.unknown()) }),
]);
export type ResultReport = z.output<typeof resultReportSchema>;

/** The kwargs of `topics.cancel`. */
export const cancelEventSchema = z.object({ reason: z.string().max(1024).default('cancelled') });
