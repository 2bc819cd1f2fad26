import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';

/**
 * Calls `then` once for each request, when its answer has gone out or its connection was closed before that: of the latter Fastify's
 * own hook of answers says nothing. A client that has read as much as was announced may close while the answer's end is on its way.
 */
export function onAnswered(
  app: FastifyInstance,
  then: (request: FastifyRequest, reply: FastifyReply, isWhole: boolean) => void,
): void {
  app.addHook('onRequest', (request, reply, done) => {
    let isWhole = false;
    reply.raw.once('finish', () => (isWhole = true));
    reply.raw.once('close', () => then(request, reply, isWhole));
    done();
  });
}
