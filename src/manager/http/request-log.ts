import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { onAnswered } from './on-answered.ts';

/** One line a request: the route's pattern, so that neither a capability nor a query is ever written. */

const BUILD_ROUTE = '/api/v1/builds/:id';
const buildParamsSchema = z.object({ id: z.uuid() });

/** What a request is about. */
interface Concern {
  readonly build: string;
  readonly try?: number;
}

/** Whatever is logged of this request from now on carries the ids of the build, and of the try, that it is about. */
export function logAs(request: FastifyRequest, concern: Concern): void {
  request.log = request.log.child(concern);
}

/** Logs requests: those that change something as information, those that only look for who asks for more, failures of ours as warnings. */
export function addRequestLog(app: FastifyInstance): void {
  app.addHook('onRequest', (request, _reply, done) => {
    const isOfBuild = request.routeOptions.url?.startsWith(BUILD_ROUTE) === true;
    const params = isOfBuild ? buildParamsSchema.safeParse(request.params) : null;
    if (params?.success === true) logAs(request, { build: params.data.id });
    done();
  });
  onAnswered(app, (request, reply, isWhole) => {
    request.log[levelOf(request.method, reply.statusCode)](
      {
        method: request.method,
        path: loggedPath(request),
        status: reply.statusCode,
        ms: Math.round(reply.elapsedTime),
        ...(isWhole ? {} : { closed_early: true }),
        ...(request.caller ? { caller: request.caller.name } : {}),
      },
      'request',
    );
  });
}

function levelOf(method: string, status: number): 'debug' | 'info' | 'warn' {
  if (status >= 500) return 'warn';
  return method === 'GET' || method === 'HEAD' ? 'debug' : 'info';
}

function loggedPath(request: FastifyRequest): string {
  const pattern = request.routeOptions.url;
  if (pattern === undefined) return 'unknown';
  return pattern.startsWith('/api/') ? (request.url.split('?')[0] ?? pattern) : pattern;
}
