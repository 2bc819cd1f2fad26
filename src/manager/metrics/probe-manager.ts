import type { Fleet } from '../executors/fleet.ts';
import type { WorkerListener } from '../realms/worker-listener.ts';
import type { ManagerMetrics } from './metrics.ts';

/** Has the sessions and the executors of this manager counted whenever somebody asks for metrics. */
export function probeManager(
  metrics: ManagerMetrics,
  listener: Pick<WorkerListener, 'sessionCount'>,
  fleet: Pick<Fleet, 'posts'>,
): void {
  metrics.addProbe(() => {
    metrics.sessions.set(listener.sessionCount());
    for (const { executor, workers, capacity, isUp } of fleet.posts()) {
      metrics.executorWorkers.set({ executor }, workers);
      metrics.executorCapacity.set({ executor }, capacity);
      metrics.executorUp.set({ executor }, isUp ? 1 : 0);
    }
  });
}
