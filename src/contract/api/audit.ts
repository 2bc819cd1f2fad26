import { z } from 'zod';
import { isPlainText, PLAIN_TEXT_RULE } from '../plain-text.ts';
import { cursorSchema } from './pages.ts';

const auditText = z.string().min(1).max(512).refine(isPlainText, PLAIN_TEXT_RULE);
const auditTime = z.iso.datetime({
  offset: true,
  error: 'must be a time with its zone, as 2026-11-20T08:00:00Z',
});

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
  cursor: cursorSchema,
});
export type AuditQuery = z.output<typeof auditQuerySchema>;

const auditEntrySchema = z.object({
  id: z.int(),
  at: z.iso.datetime(),
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
