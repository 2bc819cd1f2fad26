import type { FastifyInstance } from 'fastify';
import type { ManagerMetrics } from '../metrics/metrics.ts';
import { onAnswered } from './on-answered.ts';

/** Measures how long requests take. Who follows a log is left out: that lasts as long as the build, and is counted as a viewer. */
export function measureRequests(app: FastifyInstance, { httpRequests }: ManagerMetrics): void {
  onAnswered(app, (request, reply) => {
    if (reply.getHeader('content-type') === 'text/event-stream') return;
    // The route's pattern, never the path: that may hold a capability.
    const route = request.routeOptions.url ?? 'unknown';
    httpRequests.observe(
      { method: request.method, route, status: reply.statusCode },
      reply.elapsedTime / 1000,
    );
  });
}
