import { limits } from './limits.ts';

/**
 * Does work that the engine must answer soon. Its signal aborts with the given one, or when the time is over; once the work
 * is done, only with the given one. Rejects when either comes before the work ends, even if the work does not heed it.
 */
export async function withDeadline<T>(
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
  withinMs: number = limits.answerWithinMs,
): Promise<T> {
  signal.throwIfAborted();
  const { promise: stopped, reject } = Promise.withResolvers<never>();
  const deadline = new AbortController();
  const timer = setTimeout(() => deadline.abort(new Error(`no answer within ${withinMs} ms`)), withinMs);
  const bounded = AbortSignal.any([signal, deadline.signal]);
  const onAbort = (): void => reject(bounded.reason as Error);
  bounded.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([work(bounded), stopped]);
  } finally {
    clearTimeout(timer);
    bounded.removeEventListener('abort', onAbort);
  }
}
