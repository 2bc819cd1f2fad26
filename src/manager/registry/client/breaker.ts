import { BREAKER_FIRST_MS, BREAKER_LONGEST_MS, HOSTS_MAX } from './limits.ts';

/** Leaves a registry alone that did not answer, a while longer each time, so that it holds up nobody. */
export interface Breaker {
  isOpen(host: string): boolean;
  succeeded(host: string): void;
  failed(host: string): void;
}

/** `now` in milliseconds. */
export function createBreaker(now: () => number): Breaker {
  const failures = new Map<string, { readonly times: number; readonly until: number }>();
  return {
    isOpen: (host) => now() < (failures.get(host)?.until ?? -Infinity),
    succeeded: (host) => void failures.delete(host),
    failed(host) {
      const times = (failures.get(host)?.times ?? 0) + 1;
      failures.delete(host);
      failures.set(host, {
        times,
        until: now() + Math.min(BREAKER_FIRST_MS * 2 ** (times - 1), BREAKER_LONGEST_MS),
      });
      // Whoever submits builds names registries: the one that failed longest ago is forgotten.
      const [oldest] = failures.keys();
      if (failures.size > HOSTS_MAX && oldest !== undefined) failures.delete(oldest);
    },
  };
}
