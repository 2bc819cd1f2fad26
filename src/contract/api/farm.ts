import { z } from 'zod';

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
