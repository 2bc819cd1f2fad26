import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { statusSchema } from '../../contract/api.ts';
import { requireScope } from './access.ts';
import { problems } from './openapi.ts';
import type { HttpDependencies } from './ports.ts';
import { ApiProblem } from './problems.ts';

/** Adds what is about the farm as a whole: status, health, metrics. */
export function addFarmRoutes(app: FastifyInstance, dependencies: HttpDependencies): void {
  const { store, tokens, metrics, managerName, managerStatus } = dependencies;
  const routes = app.withTypeProvider<ZodTypeProvider>();

  routes.get(
    '/status',
    {
      schema: {
        summary: 'This manager in five numbers (worker contract 0.3)',
        tags: ['farm'],
        response: { 200: statusSchema, ...problems(503) },
      },
    },
    async () => {
      const [{ byState }, workers] = await Promise.all([store.builds.counts(), store.workers.list()]);
      return {
        status: managerStatus(),
        running_local: workers.filter((each) => each.manager === managerName && each.buildId !== null).length,
        running_total: byState.running,
        workers: workers.length,
        job_total: byState.waiting + byState.starting + byState.running,
      };
    },
  );

  routes.get(
    '/livez',
    {
      schema: {
        summary:
          'Whether this manager answers at all, with or without its database; one that does not is to be restarted',
        tags: ['farm'],
        response: { 200: z.object({ status: z.literal('ok') }) },
      },
    },
    () => ({ status: 'ok' as const }),
  );

  routes.get(
    '/healthz',
    {
      schema: {
        summary: 'Whether this manager reaches its database',
        tags: ['farm'],
        response: { 200: z.object({ status: z.literal('ok') }), ...problems(503) },
      },
    },
    async () => {
      if (!(await store.health.ping())) throw new ApiProblem('store_unavailable');
      return { status: 'ok' as const };
    },
  );

  routes.get(
    '/readyz',
    {
      schema: {
        summary:
          'Whether a balancer may send anybody to this manager: it reaches its database, and does not stop',
        tags: ['farm'],
        response: { 200: z.object({ status: z.literal('ok') }), ...problems(503) },
      },
    },
    async () => {
      if (managerStatus() === 'stopping') throw new ApiProblem('manager_stopping');
      if (!(await store.health.ping())) throw new ApiProblem('store_unavailable');
      return { status: 'ok' as const };
    },
  );

  app.get(
    '/metrics',
    {
      onRequest: requireScope(tokens, 'read'),
      schema: { summary: 'Metrics in the text format of Prometheus', tags: ['farm'] },
    },
    async (_request, reply) => reply.type(metrics.contentType).send(await metrics.expose()),
  );
}
