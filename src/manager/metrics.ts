import { Counter, Gauge, Registry } from 'prom-client';
import type { Drop } from '../wamp/index.ts';
import type { LaunchEnd } from './executors/launch.ts';

/** The metrics of the manager's WAMP side and of its executors; the HTTP listener adds its own and serves them all. */
export interface ManagerMetrics {
  readonly registry: Registry;
  readonly onDrop: (drop: Drop) => void;
  /** Says where the number of open sessions is to be read. */
  watchSessions(count: () => number): void;
  readonly onLaunchEnd: (executor: string, end: LaunchEnd) => void;
}

export function createMetrics(): ManagerMetrics {
  const registry = new Registry();
  const drops = new Counter({
    name: 'quay_wamp_dropped_total',
    help: 'What the WAMP router refused or dropped, by kind: violation, hello, connection, request, answer, backlog.',
    labelNames: ['kind'],
    registers: [registry],
  });
  const launches = new Counter({
    name: 'quay_executor_launches_total',
    help: 'Hosted workers that an executor was asked for, by what became of it: came, cancelled, elsewhere, stopped, full, failed.',
    labelNames: ['executor', 'end'],
    registers: [registry],
  });
  return {
    registry,
    onLaunchEnd: (executor, end) => launches.inc({ executor, end }),
    onDrop: (kind) => drops.inc({ kind }),
    watchSessions(count) {
      const sessions: Gauge = new Gauge({
        name: 'quay_wamp_sessions',
        help: 'Open WAMP sessions: workers, and those who are about to be.',
        registers: [registry],
        collect: () => sessions.set(count()),
      });
    },
  };
}
