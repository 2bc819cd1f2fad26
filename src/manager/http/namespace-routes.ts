import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import {
  namespaceListQuerySchema,
  namespaceListSchema,
  namespaceSettingsSchema,
  namespaceViewSchema,
  type Namespace,
} from '../../contract/api/namespaces.ts';
import { namespaceSchema } from '../../contract/api/registries.ts';
import type { NamespaceRow } from '../../store/index.ts';
import { actorOf, requireScope } from './access.ts';
import { problems } from './openapi.ts';
import type { HttpDependencies } from './ports.ts';

/** Adds how namespaces share the farm: weights, and limits of running and waiting builds. */
export function addNamespaceRoutes(app: FastifyInstance, dependencies: HttpDependencies): void {
  const { store, tokens, namespaceDefaults } = dependencies;
  const routes = app.withTypeProvider<ZodTypeProvider>();
  const onRequest = requireScope(tokens, 'admin');
  const tags = ['namespaces'];
  const params = z.object({ namespace: namespaceSchema });
  const url = '/api/v1/namespaces/:namespace';

  const view = ({ name, running, waiting, ...own }: NamespaceRow): Namespace => ({
    name,
    settings: { weight: own.weight, max_running: own.maxRunning, max_waiting: own.maxWaiting },
    weight: own.weight ?? 1,
    max_running: own.maxRunning ?? namespaceDefaults.maxRunning,
    max_waiting: own.maxWaiting ?? namespaceDefaults.maxWaiting,
    running,
    waiting,
  });

  routes.get(
    '/api/v1/namespaces',
    {
      onRequest,
      schema: {
        summary: 'Namespaces that have settings, or builds that have not ended, by name',
        tags,
        querystring: namespaceListQuerySchema,
        response: { 200: namespaceListSchema, ...problems(400, 401, 403, 503) },
      },
    },
    async ({ query: { limit, cursor } }) => {
      const page = await store.namespaces.list({ limit, ...(cursor === undefined ? {} : { cursor }) });
      return { namespaces: page.namespaces.map(view), next_cursor: page.nextCursor };
    },
  );

  routes.get(
    url,
    {
      onRequest,
      schema: {
        summary: 'How a namespace shares the farm',
        tags,
        params,
        response: { 200: namespaceViewSchema, ...problems(400, 401, 403, 503) },
      },
    },
    async ({ params: { namespace } }) => view(await store.namespaces.get(namespace)),
  );

  routes.put(
    url,
    {
      onRequest,
      schema: {
        summary: 'Set how a namespace shares the farm, from the next claim and the next submission on',
        tags,
        params,
        body: namespaceSettingsSchema,
        response: { 200: namespaceViewSchema, ...problems(400, 401, 403, 413, 415, 503) },
      },
    },
    async (request) => {
      const { namespace } = request.params;
      const { weight, max_running: maxRunning, max_waiting: maxWaiting } = request.body;
      const by = actorOf(request);
      await store.namespaces.set(namespace, { weight, maxRunning, maxWaiting }, by);
      request.log.info({ namespace, setBy: by.name }, 'the share of a namespace was set');
      return view(await store.namespaces.get(namespace));
    },
  );

  routes.delete(
    url,
    {
      onRequest,
      schema: {
        summary: 'Give a namespace no settings of its own; again is no error',
        tags,
        params,
        response: { 204: z.null(), ...problems(400, 401, 403, 503) },
      },
    },
    async (request, reply) => {
      const { namespace } = request.params;
      const by = actorOf(request);
      await store.namespaces.reset(namespace, by);
      request.log.info({ namespace, resetBy: by.name }, 'the share of a namespace was reset');
      return reply.code(204).send(null);
    },
  );
}
