import type { Connections, Health } from './ports/health.ts';

/** Keeps what the database's answers, and their absence, say of it. */
export interface HealthMonitor {
  readonly awaySince: Date | null;
  readonly upSince: Date | null;
  /** 0 while it answers. */
  awayForMs(): number;
  answered(): void;
  lost(): void;
}

/** The database counts as away until it has answered once. */
export function createHealthMonitor(now: () => Date): HealthMonitor {
  let awaySince: Date | null = now();
  let upSince: Date | null = null;
  return {
    get awaySince() {
      return awaySince;
    },
    get upSince() {
      return upSince;
    },
    awayForMs: () => (awaySince === null ? 0 : now().getTime() - awaySince.getTime()),
    answered() {
      awaySince = null;
      upSince ??= now();
    },
    lost() {
      upSince = null;
      awaySince ??= now();
    },
  };
}

/** The port: what was seen, and a question to ask now. */
export function createHealth(
  monitor: HealthMonitor,
  ask: () => Promise<unknown>,
  connections: () => Connections,
): Health {
  return {
    async ping() {
      return ask().then(
        () => true,
        () => false,
      );
    },
    get awaySince() {
      return monitor.awaySince;
    },
    get upSince() {
      return monitor.upSince;
    },
    get connections() {
      return connections();
    },
  };
}
