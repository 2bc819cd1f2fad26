import { z } from 'zod';
import { PLAIN_TEXT_RULE, isPlainText } from '../plain-text.ts';
import { canonicalRegistry, isNamespace, isRegistryHost, isRepository } from '../references.ts';

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

const READABLE_MAX = 100;

/** `GET` and `PUT /api/v1/namespaces/{namespace}/readable`. */
export const readableSchema = z.strictObject({
  repositories: z
    .array(z.string().refine(isReadable, 'must be a repository, NAMESPACE/* or *'))
    .max(READABLE_MAX, `must be at most ${READABLE_MAX}`)
    .meta({
      description:
        'Repositories; NAMESPACE/* is each repository of a namespace, * every repository of the registry.',
      examples: [['platform/*', 'tools/linter']],
    }),
});

function isReadable(text: string): boolean {
  return (
    text === '*' || isRepository(text) || (text.endsWith('/*') && isNamespace(text.slice(0, -'/*'.length)))
  );
}
