import { z } from 'zod';
import { workerPhases } from '../phases.ts';

/** One piece of a build's log. */
export const logRecordSchema = z.object({
  try: z.int(),
  seq: z.int().meta({ description: 'Counts up within a try, from 1.' }),
  time: z.iso.datetime(),
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
