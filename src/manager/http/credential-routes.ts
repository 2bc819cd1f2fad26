import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import {
  credentialListSchema,
  credentialRequestSchema,
  credentialSchema,
  namespaceSchema,
  registryHostSchema,
  type Credential,
} from '../../contract/api/registries.ts';
import type { CredentialRow } from '../../store/index.ts';
import { credentialContext } from '../registry/credentials.ts';
import { actorOf, requireScope } from './access.ts';
import { CREDENTIALS_MAX } from './limits.ts';
import { problems } from './openapi.ts';
import type { HttpDependencies } from './ports.ts';
import { ApiProblem } from './problems.ts';

/** Adds who the builds of a namespace are at registries. No answer has a password. */
export function addCredentialRoutes(app: FastifyInstance, dependencies: HttpDependencies): void {
  const { store, tokens, box } = dependencies;
  const routes = app.withTypeProvider<ZodTypeProvider>();
  const onRequest = requireScope(tokens, 'credentials');
  const tags = ['credentials'];
  const params = z.object({ namespace: namespaceSchema, registry: registryHostSchema });

  routes.get(
    '/api/v1/namespaces/:namespace/credentials',
    {
      onRequest,
      schema: {
        summary: "Who a namespace's builds are at registries, without the passwords",
        tags,
        params: params.pick({ namespace: true }),
        response: { 200: credentialListSchema, ...problems(400, 401, 403, 503) },
      },
    },
    async ({ params: { namespace } }) => ({
      credentials: (await store.credentials.list(namespace)).map(viewCredential),
    }),
  );

  routes.put(
    '/api/v1/namespaces/:namespace/credentials/:registry',
    {
      onRequest,
      schema: {
        summary: "Set who a namespace's builds are at a registry, from their next try on",
        tags,
        params,
        body: credentialRequestSchema,
        response: { 200: credentialSchema, ...problems(400, 401, 403, 409, 413, 415, 503) },
      },
    },
    async (request) => {
      const { namespace, registry } = request.params;
      const { username, password } = request.body;
      const sealed = box.seal(credentialContext(namespace, registry), password);
      const setBy = actorOf(request);
      const row = await store.credentials.set(
        { namespace, registry, username, password: sealed, setBy },
        CREDENTIALS_MAX,
      );
      if (row === null) throw new ApiProblem('credentials_full');
      request.log.info({ namespace, registry, username, setBy: setBy.name }, 'a credential was set');
      return viewCredential(row);
    },
  );

  routes.delete(
    '/api/v1/namespaces/:namespace/credentials/:registry',
    {
      onRequest,
      schema: {
        summary: "Remove who a namespace's builds are at a registry",
        tags,
        params,
        response: { 204: z.null(), ...problems(400, 401, 403, 404, 503) },
      },
    },
    async (request, reply) => {
      const { namespace, registry } = request.params;
      const by = actorOf(request);
      if (!(await store.credentials.remove(namespace, registry, by))) {
        throw new ApiProblem('credential_not_found');
      }
      request.log.info({ namespace, registry, removedBy: by.name }, 'a credential was removed');
      return reply.code(204).send(null);
    },
  );
}

function viewCredential({ registry, username, setBy, setAt }: CredentialRow): Credential {
  return { registry, username, set_by: setBy, set_at: setAt.toISOString() };
}
