import { z } from 'zod';
import { isNamespace } from '../references.ts';
import { CURSOR_RULE } from './pages.ts';

/** How namespaces share the farm: the requests and answers of `/api/v1/namespaces`. */

/** The highest limit of builds that run or wait. */
export const NAMESPACE_LIMIT_MAX = 1_000_000;

/** The least and the greatest weight. */
export const WEIGHT_MIN = 0.01;
export const WEIGHT_MAX = 100;

const limit = z.int().min(0).max(NAMESPACE_LIMIT_MAX).nullable().default(null);

/** `PUT /api/v1/namespaces/{name}`: what is absent or null is as the manager's settings say. */
export const namespaceSettingsSchema = z.strictObject({
  weight: z.number().min(WEIGHT_MIN).max(WEIGHT_MAX).nullable().default(null).meta({
    description:
      'How much of the farm it gets beside the others, while all have builds that wait; null is 1. Twice the weight, twice the builds.',
  }),
  max_running: limit.meta({
    description:
      'How many of its builds may run at a time; 0 holds them all. null: as NAMESPACE_MAX_RUNNING says.',
  }),
  max_waiting: limit.meta({
    description:
      'How many of its builds may wait at a time: further ones are refused. null: as NAMESPACE_MAX_WAITING says.',
  }),
});
export type NamespaceSettings = z.output<typeof namespaceSettingsSchema>;

export const namespaceViewSchema = z.object({
  name: z.string(),
  settings: z
    .object(namespaceSettingsSchema.shape)
    .meta({ description: 'What was set for it alone; null where nothing was.' }),
  weight: z.number().meta({ description: 'What counts, as all that follows.' }),
  max_running: z.int().nullable().meta({ description: 'null: any number.' }),
  max_waiting: z.int().nullable().meta({ description: 'null: any number.' }),
  running: z.int().meta({ description: 'Its builds that are starting or running now.' }),
  waiting: z.int(),
});
export type Namespace = z.output<typeof namespaceViewSchema>;

/** `GET /api/v1/namespaces`: those that have settings, or builds that have not ended; by name. */
export const namespaceListQuerySchema = z.strictObject({
  limit: z.coerce.number().int().min(1).max(500).default(100),
  cursor: z
    .string()
    .refine(isNamespace, CURSOR_RULE)
    .optional()
    .meta({ description: "The last answer's next_cursor." }),
});
export const namespaceListSchema = z.object({
  namespaces: z.array(namespaceViewSchema),
  next_cursor: z.string().nullable(),
});
