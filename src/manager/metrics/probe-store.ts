import type { Gauge } from 'prom-client';
import { buildStates } from '../../contract/phases.ts';
import type { Store } from '../../store/index.ts';
import { QUEUE_FIGURES_MS, QUEUE_NAMESPACES, SIZE_FIGURES_MS } from '../limits.ts';
import type { ManagerMetrics } from './metrics.ts';

/** What all others are counted as. No namespace is called so. */
const OTHERS = '(other)';

type ProbedStore = Pick<Store, 'builds' | 'workers' | 'figures' | 'health'>;

/**
 * Has each answer say how the farm stands, as the database has it. While that is away, or when it does not answer in time, the farm's
 * metrics are missing, and `quay_build_database_up` is 0.
 */
export function probeStore(metrics: ManagerMetrics, store: ProbedStore, now: () => number): void {
  const farm = [
    metrics.builds,
    metrics.slots,
    metrics.queueBuilds,
    metrics.queueOldest,
    metrics.leases,
    metrics.leaseOverdue,
    metrics.tableBytes,
    metrics.blobBytes,
  ];
  const queue = atMostEvery(QUEUE_FIGURES_MS, now, () => store.figures.queue(QUEUE_NAMESPACES));
  const sizes = atMostEvery(SIZE_FIGURES_MS, now, () => store.figures.sizes());

  const look = async (): Promise<void> => {
    const [{ byState }, slots, figures, leases, bytes] = await Promise.all([
      store.builds.counts(),
      store.workers.list(),
      queue(),
      store.figures.leases(),
      sizes(),
    ]);
    for (const gauge of farm) forget(gauge);
    for (const state of buildStates) metrics.builds.set({ state }, byState[state]);
    for (const { kind, state } of slots) metrics.slots.inc({ kind, state });
    for (const { namespace, waiting, oldestSeconds } of figures) {
      metrics.queueBuilds.set({ namespace: namespace ?? OTHERS }, waiting);
      metrics.queueOldest.set({ namespace: namespace ?? OTHERS }, oldestSeconds);
    }
    metrics.leases.set({ state: 'valid' }, leases.held - leases.overdue);
    metrics.leases.set({ state: 'overdue' }, leases.overdue);
    metrics.leaseOverdue.set(leases.overdueSeconds);
    for (const [table, size] of bytes.tables) metrics.tableBytes.set({ table }, size);
    metrics.blobBytes.set({ kind: 'package' }, bytes.packages);
    metrics.blobBytes.set({ kind: 'log' }, bytes.logs);
  };

  const sayWhetherUp = (): void => metrics.databaseUp.set(store.health.awaySince === null ? 1 : 0);

  metrics.addProbe(async () => {
    // A stale figure would look like a good one. What comes too late for this answer is there for the next.
    for (const gauge of farm) forget(gauge);
    sayWhetherUp();
    await look().catch(() => undefined);
    sayWhetherUp();
  });
  metrics.addProbe(() => {
    const { busy, idle, waiting } = store.health.connections;
    metrics.connections.set({ state: 'busy' }, busy);
    metrics.connections.set({ state: 'idle' }, idle);
    metrics.connectionsWaiting.set(waiting);
  });
}

/** Without labels a gauge that is reset would still say 0. */
function forget(gauge: Gauge): void {
  gauge.reset();
  gauge.remove({});
}

/** What costs too much to be read for each answer: the last that was read serves for a while. */
function atMostEvery<T>(ms: number, now: () => number, read: () => Promise<T>): () => Promise<T> {
  let last: { readonly at: number; readonly value: T } | null = null;
  return async () => {
    if (last === null || now() - last.at >= ms) last = { at: now(), value: await read() };
    return last.value;
  };
}
