import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import {
  forgottenWorkerSchema,
  workerHistorySchema,
  workerListSchema,
  workerQuerySchema,
  type WorkerHistory,
} from '../../contract/api.ts';
import { buildErrorKinds } from '../../contract/build-errors.ts';
import { isPlainText } from '../../contract/plain-text.ts';
import { actorOf, requireScope } from './access.ts';
import { problems } from './openapi.ts';
import type { HttpDependencies } from './ports.ts';
import { ApiProblem } from './problems.ts';
import { viewDrained, viewWorker, viewWorkerHistory } from './worker-view.ts';

const TRIES_LISTED = 20;

/** Adds looking at workers, and draining, resuming and forgetting them. */
export function addWorkerRoutes(
  app: FastifyInstance,
  { store: { workers }, tokens }: Pick<HttpDependencies, 'store' | 'tokens'>,
): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  const params = z.object({ id: z.string() });

  const show = async (id: string, tries: number): Promise<WorkerHistory> => {
    const history = await workers.history(knownId(id), tries);
    if (history === null) throw new ApiProblem('worker_not_found');
    return viewWorkerHistory(id, history);
  };

  const change = async (
    request: FastifyRequest,
    id: string,
    act: 'drain' | 'resume',
    done: string,
  ): Promise<WorkerHistory> => {
    const by = actorOf(request);
    if (!(await workers[act](knownId(id), by))) throw new ApiProblem('worker_not_found');
    request.log.info({ worker: id, by: by.name }, done);
    return show(id, TRIES_LISTED);
  };

  routes.get(
    '/api/v1/workers',
    {
      onRequest: requireScope(tokens, 'read'),
      schema: {
        summary: 'The workers that are connected, a slot each; and those that get no builds',
        tags: ['workers'],
        response: { 200: workerListSchema, ...problems(401, 403, 503) },
      },
    },
    async () => {
      const [slots, drained] = await Promise.all([workers.list(), workers.drained()]);
      return { workers: slots.map(viewWorker), drained: drained.map(viewDrained) };
    },
  );

  routes.get(
    '/api/v1/workers/:id',
    {
      onRequest: requireScope(tokens, 'read'),
      schema: {
        summary: 'A worker, connected or not, and what it has done',
        tags: ['workers'],
        params,
        querystring: workerQuerySchema,
        response: { 200: workerHistorySchema, ...problems(400, 401, 403, 404, 503) },
      },
    },
    (request) => show(request.params.id, request.query.limit),
  );

  routes.post(
    '/api/v1/workers/:id/drain',
    {
      onRequest: requireScope(tokens, 'admin'),
      schema: {
        summary:
          'Give a worker no more builds, also when it comes back; what it has goes on. Again is no error',
        tags: ['workers'],
        params,
        response: { 200: workerHistorySchema, ...problems(401, 403, 404, 503) },
      },
    },
    (request) => change(request, request.params.id, 'drain', 'a worker was drained'),
  );

  routes.post(
    '/api/v1/workers/:id/resume',
    {
      onRequest: requireScope(tokens, 'admin'),
      schema: {
        summary: 'Give a drained worker builds again. Again is no error',
        tags: ['workers'],
        params,
        response: { 200: workerHistorySchema, ...problems(401, 403, 404, 503) },
      },
    },
    (request) => change(request, request.params.id, 'resume', 'a worker was resumed'),
  );

  routes.delete(
    '/api/v1/workers/:id',
    {
      onRequest: requireScope(tokens, 'admin'),
      schema: {
        summary:
          'Forget a worker: its sessions end, what it builds goes back to the queue, and it is drained no more. It may register anew',
        tags: ['workers'],
        params,
        response: { 200: forgottenWorkerSchema, ...problems(401, 403, 404, 503) },
      },
    },
    async (request) => {
      const id = knownId(request.params.id);
      const by = actorOf(request);
      const { message, help } = buildErrorKinds.internalerror;
      const base_error = `The worker ${id} was forgotten by ${by.name}.`;
      const forgotten = await workers.forget(id, by, { code: 'internalerror', message, help, base_error });
      if (forgotten === null) throw new ApiProblem('worker_not_found');
      request.log.info({ worker: id, by: by.name, ...forgotten }, 'a worker was forgotten');
      return { id, slots: forgotten.slots, builds: [...forgotten.builds] };
    },
  );
}

/** What no database can hold is no worker's id. */
function knownId(id: string): string {
  if (!isPlainText(id)) throw new ApiProblem('worker_not_found');
  return id;
}
