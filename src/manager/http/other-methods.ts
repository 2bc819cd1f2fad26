import type { FastifyInstance, HTTPMethods } from 'fastify';
import { sendProblem } from './errors.ts';
import { ApiProblem } from './problems.ts';

const METHODS: readonly HTTPMethods[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];

/**
 * Notes the routes that are added from now on. What it answers with is called after the last of them: it refuses other methods at the
 * same paths by saying which there are (RFC 9110, section 15.5.6), rather than that there is nothing.
 */
export function noteRoutes(app: FastifyInstance): () => void {
  const offered = new Map<string, Set<string>>();
  let isDone = false;
  app.addHook('onRoute', ({ url, method }) => {
    if (isDone) return;
    const methods = offered.get(url) ?? new Set();
    offered.set(url, methods);
    for (const each of [method].flat()) methods.add(each);
  });
  return () => {
    isDone = true;
    for (const [url, methods] of offered) {
      const allowed = METHODS.filter((method) => methods.has(method)).join(', ');
      app.route({
        method: METHODS.filter((method) => !methods.has(method)),
        url,
        schema: { hide: true },
        // Before a body is read.
        onRequest: (_request, reply) => {
          const problem = new ApiProblem('method_not_allowed', { specifically: `It has ${allowed}.` });
          sendProblem(problem, reply.header('allow', allowed));
        },
        handler: () => undefined,
      });
    }
  };
}
