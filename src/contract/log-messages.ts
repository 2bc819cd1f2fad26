import { z } from 'zod';
import { isWorkerPhase } from './phases.ts';

/** What `logmessagesynchronously` carries (worker contract 0.3, "A build, as phases"). */

/** `status_data` of a phase change; only `pulling` fills it. */
export const statusDataSchema = z.object({
  registry: z.string().optional(),
  base_image: z.string().optional(),
  base_image_tag: z.string().optional(),
  pull_username: z.string().optional(),
});
export type StatusData = z.output<typeof statusDataSchema>;

/** One message of the engine, as it travels in `json_data`. */
export const engineMessageSchema = z.object({
  stream: z.string().optional(),
  status: z.string().optional(),
  id: z.string().optional(),
  progress: z.string().optional(),
  progressDetail: z.object({ current: z.number().optional(), total: z.number().optional() }).nullish(),
});
export type EngineMessage = z.output<typeof engineMessageSchema>;

/** The kwargs of `logmessagesynchronously`. */
export const logMessageSchema = z.object({
  phase: z.string().refine(isWorkerPhase, 'must be a phase of the contract'),
  /** A JSON text: `{"status_data": {…}}` for a phase change, else the engine's message. */
  json_data: z.string(),
});

/** Where a step begins: `Step N/M : INSTRUCTION`, or the older `Step N : INSTRUCTION`. */
const STEP = /^Step (\d{1,6})(?:\/(\d{1,6}))? : (.*)/;

export interface StepHeading {
  /** Counts from 1. */
  readonly ordinal: number;
  /** How many steps there are, when the engine says so. */
  readonly total: number | null;
  readonly instruction: string;
}

/** Reads the heading of a step from a line of the engine's, or null. */
export function parseStepHeading(line: string): StepHeading | null {
  const match = STEP.exec(line);
  if (!match) return null;
  const [, ordinal = '', total, instruction = ''] = match;
  return {
    ordinal: Number(ordinal),
    total: total === undefined ? null : Number(total),
    instruction: instruction.trimEnd(),
  };
}

/** Writes the heading that {@link parseStepHeading} reads. */
export function formatStepHeading(ordinal: number, total: number, instruction: string): string {
  return `Step ${ordinal}/${total} : ${instruction}`;
}
