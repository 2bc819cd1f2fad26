import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { namespaceSchema, readableSchema } from '../../contract/api/registries.ts';
import { actorOf, requireScope } from './access.ts';
import { problems } from './openapi.ts';
import type { HttpDependencies } from './ports.ts';

/** Adds what the builds of a namespace may read of the registry whose token server the manager is. */
export function addReadableRoutes(app: FastifyInstance, { store, tokens }: HttpDependencies): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  const url = '/api/v1/namespaces/:namespace/readable';
  const onRequest = requireScope(tokens, 'admin');
  const tags = ['registry'];
  const params = z.object({ namespace: namespaceSchema });

  routes.get(
    url,
    {
      onRequest,
      schema: {
        summary: "What a namespace's builds may pull beside their own repositories and the public ones",
        tags,
        params,
        response: { 200: readableSchema, ...problems(400, 401, 403, 503) },
      },
    },
    async ({ params: { namespace } }) => ({ repositories: [...(await store.readable.get(namespace))] }),
  );

  routes.put(
    url,
    {
      onRequest,
      schema: {
        summary: "Set what a namespace's builds may pull, from their next try on",
        tags,
        params,
        body: readableSchema,
        response: { 200: readableSchema, ...problems(400, 401, 403, 413, 415, 503) },
      },
    },
    async (request) => {
      const { namespace } = request.params;
      const by = actorOf(request);
      await store.readable.set(namespace, request.body.repositories, by);
      request.log.info({ namespace, setBy: by.name }, 'what a namespace may read was set');
      return { repositories: [...(await store.readable.get(namespace))] };
    },
  );
}
