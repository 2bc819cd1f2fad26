import type { FastifyInstance } from 'fastify';
import { Gauge, Histogram } from 'prom-client';
import { buildStates } from '../../contract/phases.ts';
import type { HttpDependencies } from './ports.ts';

const DURATION_BUCKETS_SECONDS = [0.005, 0.02, 0.1, 0.5, 2, 10, 60];

/** Registers what the listener knows: builds by state, the queue's age, workers, and how long requests take. */
export function registerMetrics(
  app: FastifyInstance,
  { metrics, store }: Pick<HttpDependencies, 'metrics' | 'store'>,
): void {
  const builds = new Gauge({
    name: 'quay_builds',
    help: 'Builds by state.',
    labelNames: ['state'],
    registers: [metrics],
    async collect() {
      const { byState, oldestWaitingSeconds } = await store.builds.counts();
      for (const state of buildStates) builds.set({ state }, byState[state]);
      oldest.set(oldestWaitingSeconds ?? 0);
    },
  });
  const oldest = new Gauge({
    name: 'quay_queue_oldest_seconds',
    help: 'How long the oldest waiting build has waited; 0 when none waits.',
    registers: [metrics],
  });
  const workers = new Gauge({
    name: 'quay_worker_slots',
    help: 'Slots of connected workers, by state.',
    labelNames: ['state'],
    registers: [metrics],
    async collect() {
      workers.reset();
      for (const { state } of await store.workers.list()) workers.inc({ state });
    },
  });
  const durations = new Histogram({
    name: 'quay_http_request_duration_seconds',
    help: 'How long requests took until their answer was sent, by route: followed logs last as long as their builds.',
    labelNames: ['method', 'route', 'status'],
    buckets: DURATION_BUCKETS_SECONDS,
    registers: [metrics],
  });
  app.addHook('onResponse', (request, reply, done) => {
    // The route's pattern, never the path: that may hold a capability.
    const route = request.routeOptions.url ?? 'unknown';
    durations.observe({ method: request.method, route, status: reply.statusCode }, reply.elapsedTime / 1000);
    done();
  });
}
