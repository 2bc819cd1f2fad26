import { z } from 'zod';

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
] as const;
export type ExtensionName = (typeof extensionNames)[number];

const extensionList = z
  .array(z.string().max(64))
  .max(64)
  .transform((names) => extensionNames.filter((name) => names.includes(name)));

/** HELLO `authextra`, in a worker's realm. */
export const workerOfferSchema = z.object({
  extensions: extensionList.default([]),
  worker: z
    .object({
      /** The same for all slots of a worker, and after it restarts. */
      id: z.string().min(1).max(128),
      /** Counts from 0. */
      slot: z.int().min(0).max(1023).default(0),
      slots: z.int().min(1).max(1024).default(1),
      labels: z.record(z.string().max(64), z.string().max(256)).default({}),
      kinds: z.array(z.string().max(64)).max(16).default(['image']),
    })
    .optional(),
});
export type WorkerOffer = z.output<typeof workerOfferSchema>;

/** WELCOME `authextra`, in a worker's realm. */
export const managerAcceptanceSchema = z.object({ extensions: extensionList.default([]) });

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

/** The kwargs of `topics.cancel`. */
export const cancelEventSchema = z.object({ reason: z.string().max(1024).default('cancelled') });
