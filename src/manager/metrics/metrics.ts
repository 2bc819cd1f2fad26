import { setTimeout as wait } from 'node:timers/promises';
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import { PROBE_WITHIN_MS } from '../limits.ts';
import { metricCatalogue, type MetricKey, type MetricSpec } from './catalogue.ts';

interface Kinds {
  readonly counter: Counter;
  readonly gauge: Gauge;
  readonly histogram: Histogram;
}

/** The metrics of the catalogue, to be counted with. */
type Instruments = {
  readonly [Key in MetricKey]: Kinds[(typeof metricCatalogue)[Key]['type']];
};

export interface ManagerMetrics extends Instruments {
  /** Brings gauges up to date before each answer. What it cannot know it resets. It is given up after a moment, and is not asked twice at once. */
  addProbe(probe: () => Promise<void> | void): void;
  /** Everything, in the text format of Prometheus. */
  expose(): Promise<string>;
  readonly contentType: string;
}

/** Makes the metrics of one manager, with those of Node itself. */
export function createMetrics(): ManagerMetrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const probes: (() => Promise<void>)[] = [];
  const entries = Object.entries(metricCatalogue).map(([key, spec]) => [key, instrument(spec, registry)]);
  return {
    // The catalogue's own keys, each with the kind that its type names.
    ...(Object.fromEntries(entries) as Instruments),
    addProbe(probe) {
      probes.push(onceAtATime(probe));
    },
    async expose() {
      const timeout = new AbortController();
      await Promise.race([
        Promise.all(probes.map((probe) => probe())),
        wait(PROBE_WITHIN_MS, undefined, { signal: timeout.signal }).catch(() => undefined),
      ]);
      timeout.abort();
      return registry.metrics();
    },
    contentType: registry.contentType,
  };
}

function instrument(spec: MetricSpec, registry: Registry): Kinds[MetricSpec['type']] {
  const { type, name, help, of, labels = [], buckets } = spec;
  const options = {
    name,
    help: `${help} ${of === 'farm' ? 'Of the whole farm.' : 'Of this manager.'}`,
    labelNames: [...labels],
    registers: [registry],
  };
  if (type === 'histogram')
    return new Histogram({ ...options, ...(buckets ? { buckets: [...buckets] } : {}) });
  return type === 'counter' ? new Counter(options) : new Gauge(options);
}

function onceAtATime(probe: () => Promise<void> | void): () => Promise<void> {
  let running: Promise<void> | null = null;
  return () =>
    (running ??= Promise.resolve(probe()).finally(() => {
      running = null;
    }));
}
