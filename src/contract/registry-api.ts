import { z } from 'zod';
import { PLAIN_TEXT_RULE, isPlainText } from './plain-text.ts';
import { canonicalRegistry, isNamespace, isRegistryHost } from './references.ts';

/** The HTTP API's requests and answers about registries. Times are ISO 8601, UTC. */

/** The namespace in a path. */
export const namespaceSchema = z
  .string()
  .refine(isNamespace, 'must be a namespace, in lower case, as a registry accepts it');

/** The registry in a path: its one form. */
export const registryHostSchema = z
  .string()
  .refine(isRegistryHost, 'must be host or host:port')
  .transform(canonicalRegistry);

/** A user or a password, as HTTP can show it (RFC 7617, section 2). */
const shown = z.string().min(1).refine(isPlainText, PLAIN_TEXT_RULE);

/** `PUT /api/v1/namespaces/{namespace}/credentials/{registry}`. */
export const credentialRequestSchema = z.strictObject({
  username: shown.max(256).refine((text) => !text.includes(':'), 'must have no colon'),
  password: shown.max(16_384).meta({ description: 'Encrypted at rest, never shown again.' }),
});

export const credentialSchema = z.object({
  registry: z.string().meta({ examples: ['registry.example:5000'] }),
  username: z.string(),
  set_by: z.string(),
  set_at: z.iso.datetime(),
});
export type Credential = z.output<typeof credentialSchema>;

/** `GET /api/v1/namespaces/{namespace}/credentials`, by registry. */
export const credentialListSchema = z.object({ credentials: z.array(credentialSchema) });
