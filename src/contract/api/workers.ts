import { z } from 'zod';
import { workerPhases } from '../phases.ts';
import { tryOutcomes } from './builds.ts';

const time = z.iso.datetime();

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
