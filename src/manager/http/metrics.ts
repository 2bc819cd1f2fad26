import type { FastifyInstance } from 'fastify';
import type { ManagerMetrics } from '../metrics/metrics.ts';
import { onAnswered } from './on-answered.ts';

/** Measures how long requests take. */
export function measureRequests(app: FastifyInstance, { httpRequests }: ManagerMetrics): void {
  onAnswered(app, (request, reply) => {
    // The route's pattern, never the path: that may hold a capability.
    const route = request.routeOptions.url ?? 'unknown';
    httpRequests.observe(
      { method: request.method, route, status: reply.statusCode },
      reply.elapsedTime / 1000,
    );
  });
}
