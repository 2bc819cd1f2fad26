import { setImmediate } from 'node:timers/promises';
import type { Logger } from 'pino';
import { BuildError } from '../contract/build-errors.ts';
import type { WorkerOffer } from '../contract/extensions.ts';
import type { Builder } from './builder.ts';
import { type Clock, sleep } from './clock.ts';
import { enlist, NotReadyError } from './link/enlisting.ts';
import type { RetryDelay } from './link/reconnecting.ts';
import { RealmRefusedError } from './link/session.ts';
import { readTlsOptions, type TlsPaths } from './link/tls.ts';
import { openTransport, type Transport } from './link/transport.ts';
import { reasonOf } from './reason.ts';

/**
 * A slot runs one build at a time, over one connection, in one realm:
 *
 *              ┌──────────── lost, refused, or not ready: wait (enterprise) ────────────┐
 *              ▼                                                                        │
 *   start ─▶ connecting ─▶ enlisting ─▶ ready ◀──▶ building ────────────────────────────┤
 *                │             │          │            │                                │
 *                └─────────────┴──────────┴── leaving ─┴──▶ (the build ends) ─▶ left    │
 *                                                                                       │
 *   hosted: left after its build; `unreachable`, `rejected` or `lost` instead of waiting ◀
 */
export type SlotEnd = 'left' | 'unreachable' | 'rejected' | 'lost';

export interface SlotOptions {
  readonly endpoint: URL;
  readonly tls: TlsPaths;
  /** The realm allocated for one build (hosted), or null (enterprise). */
  readonly realm: string | null;
  readonly token: string;
  readonly offer: WorkerOffer;
  readonly builder: Builder;
  readonly retryDelay: RetryDelay;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** How one connection ended. */
interface Attendance {
  readonly end: 'left' | 'answered' | 'refused' | 'failed' | 'lost';
  readonly reason: string;
}

/** Runs a slot until it is asked to leave (then the running build ends first) or, hosted, has no more to do. */
export async function runSlot(options: SlotOptions, leaving: AbortSignal): Promise<SlotEnd> {
  const { realm, logger, clock, retryDelay } = options;
  let failures = 0;
  for (;;) {
    const { end, reason } = await attend(options, leaving);
    if (leaving.aborted || end === 'left' || (realm !== null && end === 'answered')) return 'left';
    if (realm !== null && end === 'refused') return told(logger, reason, 'rejected');
    if (realm !== null && end === 'lost') return told(logger, reason, 'lost');
    failures = end === 'lost' ? 1 : failures + 1;
    const delay = retryDelay(failures);
    if (delay === null) return told(logger, reason, 'unreachable');
    logger.warn({ reason, wait_ms: Math.round(delay) }, 'not connected; trying again');
    await sleep(clock, delay, leaving);
  }
}

function told(logger: Logger, reason: string, end: SlotEnd): SlotEnd {
  logger.error({ reason }, `giving up: ${end}`);
  return end;
}

/** One connection, from its beginning to its end. Never throws; when it resolves no build runs. */
async function attend(options: SlotOptions, leaving: AbortSignal): Promise<Attendance> {
  const { endpoint, tls, builder, clock } = options;
  let transport: Transport;
  try {
    transport = await openTransport(endpoint, readTlsOptions(tls), clock, leaving);
  } catch (error) {
    return { end: 'failed', reason: reasonOf(error) };
  }
  const leave = whenLeaving(builder, leaving);
  try {
    return await serve(options, transport, leave.promise);
  } catch (error) {
    const refused = error instanceof NotReadyError || error instanceof RealmRefusedError;
    return { end: refused ? 'refused' : 'failed', reason: reasonOf(error) };
  } finally {
    leave.callOff();
    await builder.stop(new BuildError('internalerror', 'The connection to the manager was lost.'));
    transport.end();
    await transport.closed;
  }
}

/** From an open connection to the end of the session. Throws what kept the worker from being ready. */
async function serve(
  { realm, token, offer, builder, clock, logger }: SlotOptions,
  transport: Transport,
  leave: Promise<Attendance>,
): Promise<Attendance> {
  const answered = Promise.withResolvers<Attendance>();
  const enlisted = enlist(
    transport,
    {
      realm,
      token,
      offer,
      onBuild: async (session, kwargs) => {
        const answer = await builder.build(session, kwargs);
        // A hosted worker leaves when its answer is on its way, which is after this returned.
        if (realm !== null) {
          void setImmediate().then(() => answered.resolve({ end: 'answered', reason: 'the build is done' }));
        }
        return answer;
      },
      onCancel: (reason) => {
        logger.info({ reason }, 'the manager cancelled the build');
        void builder.stop(new BuildError('clientrejectedtransition', 'The build was cancelled.'));
      },
    },
    clock,
  );
  const early = await Promise.race([enlisted.then(() => null), leave]);
  if (early) {
    // The connection ends now, and with it what enlisting waits for.
    enlisted.catch(() => undefined);
    return early;
  }
  const session = await enlisted;
  logger.info({ extensions: [...session.accepted] }, 'worker is ready');
  const lost = session.ended.then((reason): Attendance => ({ end: 'lost', reason }));
  const attendance = await Promise.race([lost, answered.promise, leave]);
  if (attendance.end !== 'lost') await session.leave('wamp.close.normal');
  return attendance;
}

/** Resolves when the worker was asked to leave, and the answer of the build that ran is on its way. */
function whenLeaving(
  builder: Builder,
  leaving: AbortSignal,
): { readonly promise: Promise<Attendance>; readonly callOff: () => void } {
  const { promise, resolve } = Promise.withResolvers<Attendance>();
  const leave = async (): Promise<void> => {
    builder.close();
    await builder.idle();
    await setImmediate();
    resolve({ end: 'left', reason: 'asked to leave' });
  };
  const onAbort = (): void => void leave();
  if (leaving.aborted) onAbort();
  else leaving.addEventListener('abort', onAbort);
  return { promise, callOff: () => leaving.removeEventListener('abort', onAbort) };
}
