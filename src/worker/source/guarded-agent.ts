import type { LookupFunction } from 'node:net';
import { Agent } from 'undici';
import type { AddressGuard } from './addresses.ts';
import type { SourceLimits } from './limits.ts';

/**
 * An HTTP client that connects to what `guard` permits, and to the very address that it looked at. A host that is written as an address
 * is not looked up: whoever asks must have the guard resolve each URL's host first.
 */
export function createGuardedAgent(guard: AddressGuard, limits: SourceLimits, signal: AbortSignal): Agent {
  const lookup: LookupFunction = (host, { all }, done) => {
    guard.resolve(host, signal).then(
      (found) => {
        const [first] = found;
        if (all) done(null, [...found]);
        else done(null, first?.address ?? '', first?.family);
      },
      (error: unknown) => done(error instanceof Error ? error : new Error(String(error)), []),
    );
  };
  return new Agent({
    connect: { timeout: limits.connectMs, lookup },
    headersTimeout: limits.stallMs,
    bodyTimeout: limits.stallMs,
  });
}

/** A URL's host as a resolver takes it. */
export function hostOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '');
}
