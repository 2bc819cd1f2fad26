import { setImmediate } from 'node:timers/promises';
import type { Logger } from 'pino';
import { BuildError, buildErrorUri } from '../contract/build-errors.ts';
import { reasonOf } from '../contract/reason.ts';
import { managerProcedures } from '../contract/uris.ts';
import type { Builder } from './builder.ts';
import { type Clock, sleep } from './clock.ts';
import { ENGINE_WATCH_MS, PING_MANAGER_EVERY_MS } from './limits.ts';
import { enlist, NotReadyError } from './link/enlisting.ts';
import type { RetryDelay } from './link/reconnecting.ts';
import { RealmRefusedError, type Answer, type RealmSession, type Ticket } from './link/session.ts';
import { readTlsOptions } from './link/tls.ts';
import { openTransport, type Transport } from './link/transport.ts';
import { type ResumingOptions, seeThrough } from './resuming.ts';

/**
 * A slot runs one build at a time, over one connection, in one realm, while its engine answers:
 *
 *              ┌──── lost, refused, not ready, or without its engine: wait (enterprise) ────┐
 *              ▼                                                                            │
 *   start ─▶ engine? ─▶ connecting ─▶ enlisting ─▶ ready ◀──▶ building ─────────────────────┤
 *               │            │            │          │            │                         │
 *               └────────────┴────────────┴── leaving ┴──▶ (the build ends) ─▶ left         │
 *                                                                                           │
 *   hosted: left after its build; `unequipped`, `unreachable`, `rejected` or `lost` instead of waiting ◀
 *
 * A build of a manager that takes workers back (extension `resume`) outlives the connection, as `resuming.ts` shows. Any other is
 * stopped with it; `interrupted` is what that is called when the worker was about to leave.
 */
export type SlotEnd = 'left' | 'unreachable' | 'rejected' | 'lost' | 'unequipped' | 'interrupted';

export interface SlotOptions extends ResumingOptions {
  /** The realm allocated for one build (hosted), or null (enterprise). */
  readonly realm: string | null;
  readonly token: string;
  readonly ticket: Ticket | null;
  readonly retryDelay: RetryDelay;
  /** Is told why the slot takes no builds now, or, by null, that it does. */
  readonly onStanding: (reason: string | null) => void;
}

/** How one connection ended. */
interface Attendance {
  readonly end: 'left' | 'answered' | 'refused' | 'failed' | 'lost' | 'sent away' | 'unequipped';
  readonly reason: string;
  /** A build was stopped before its end. */
  readonly stopped?: boolean;
}

/** The ends of a connection that a build may outlive. */
const OUTLIVED: ReadonlySet<Attendance['end']> = new Set(['lost', 'sent away', 'failed']);

/** Runs a slot until it is asked to leave (then the running build ends first) or, hosted, has no more to do. */
export async function runSlot(options: SlotOptions, leaving: AbortSignal): Promise<SlotEnd> {
  const { realm, logger, clock, retryDelay } = options;
  let failures = 0;
  for (;;) {
    const { end, reason, stopped = false } = await attend(options, leaving);
    if (leaving.aborted && stopped) return told(logger, reason, realm === null ? 'interrupted' : 'lost');
    if (leaving.aborted || end === 'left' || (realm !== null && end === 'answered')) return 'left';
    if (realm !== null && end === 'refused') return told(logger, reason, 'rejected');
    if (realm !== null && (end === 'lost' || end === 'sent away')) return told(logger, reason, 'lost');
    options.onStanding(end === 'answered' ? 'the worker connects to the manager again' : reason);
    if (end === 'answered') {
      failures = 0;
      continue;
    }
    failures = end === 'sent away' ? 0 : end === 'lost' ? 1 : failures + 1;
    // Whoever is sent away by a manager finds another soon, or is back when it is.
    const delay = failures === 0 ? options.resumeDelay(1) : retryDelay(failures);
    if (delay === null) return told(logger, reason, end === 'unequipped' ? end : 'unreachable');
    logger.warn({ reason, wait_ms: Math.round(delay) }, 'not ready; trying again');
    await sleep(clock, delay, leaving);
  }
}

function told(logger: Logger, reason: string, end: SlotEnd): SlotEnd {
  logger.error({ reason }, `giving up: ${end}`);
  return end;
}

/** One connection, from its beginning to its end. Never throws; when it resolves no build runs. */
async function attend(options: SlotOptions, leaving: AbortSignal): Promise<Attendance> {
  const { endpoint, tls, proxies, builder, clock } = options;
  // A worker that cannot build would take one build after the other from those that can.
  const missing = await builder.examine();
  if (missing !== null) return { end: 'unequipped', reason: missing };
  let transport: Transport;
  try {
    transport = await openTransport(endpoint, readTlsOptions(tls), clock, leaving, proxies && { proxies });
  } catch (error) {
    return { end: 'failed', reason: reasonOf(error) };
  }
  const leave = whenLeaving(builder, leaving);
  const attendance = await serve(options, transport, leave.promise).catch((error: unknown): Attendance => {
    const refused = error instanceof NotReadyError || error instanceof RealmRefusedError;
    return { end: refused ? 'refused' : 'failed', reason: reasonOf(error) };
  });
  leave.callOff();
  transport.end();
  await transport.closed;
  const { link, busy } = builder;
  if (link !== null && OUTLIVED.has(attendance.end)) {
    const failure = await seeThrough(link, options);
    if (failure === null) return { end: 'answered', reason: 'the build is done' };
    return { end: 'lost', reason: failure, stopped: true };
  }
  await builder.stop(new BuildError('internalerror', 'The connection to the manager was lost.'));
  return { ...attendance, stopped: busy };
}

/** From an open connection to the end of the session. Throws what kept the worker from being ready. */
async function serve(
  { realm, token, ticket, offer, forsaken, builder, onStanding, clock, logger }: SlotOptions,
  transport: Transport,
  leave: Promise<Attendance>,
): Promise<Attendance> {
  const answered = Promise.withResolvers<Attendance>();
  const enlisted = enlist(
    transport,
    {
      realm,
      token,
      ticket,
      offer,
      forsaken,
      onBuild: async (session, kwargs) => {
        const answer = await builder.build(session, kwargs);
        const next = afterAnswer(answer, realm);
        // The answer is on its way after this returned.
        if (next) void setImmediate().then(() => answered.resolve(next));
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
  onStanding(null);
  const lost = session.ended.then((reason): Attendance => ({
    end: session.wasSentAway ? 'sent away' : 'lost',
    reason,
  }));
  const unequipped = watchEngine(builder, clock);
  const stopPinging = pingManager(session, builder, clock);
  const attendance = await Promise.race([lost, answered.promise, leave, unequipped.promise]);
  unequipped.callOff();
  stopPinging();
  if (attendance.end !== 'lost' && attendance.end !== 'sent away') await session.leave('wamp.close.normal');
  return attendance;
}

/** Why the session ends after this answer, or null: a hosted worker is done, and one without its engine can do no more. */
function afterAnswer({ error }: Answer, realm: string | null): Attendance | null {
  if (realm !== null) return { end: 'answered', reason: 'the build is done' };
  if (error !== buildErrorUri('dockerconnecterror')) return null;
  return { end: 'unequipped', reason: 'the engine went away during a build' };
}

/**
 * Asks a deployed manager, when no build asks it anything, whether it still has this worker: it gives up one that it has not heard of
 * for 60 s, as when its machine was paused, and neither says so nor closes the connection. Its answer ends the session then. A
 * manager that takes workers back tells them.
 */
function pingManager(session: RealmSession, builder: Builder, clock: Clock): () => void {
  if (session.accepted.has('resume')) return () => undefined;
  return repeatedly(PING_MANAGER_EVERY_MS, clock, async () => {
    if (!builder.busy) await session.call(managerProcedures.ping).catch(() => undefined);
  });
}

/** Does this after every so many milliseconds, until it is called off. */
function repeatedly(everyMs: number, clock: Clock, work: () => Promise<void>): () => void {
  let isOver = false;
  let callOff = (): void => undefined;
  const again = (): void => {
    if (!isOver) callOff = clock.after(everyMs, () => void work().then(again));
  };
  again();
  return () => {
    isOver = true;
    callOff();
  };
}

/** Resolves when the engine does not answer any more and no build runs, which would find out by itself. */
function watchEngine(
  builder: Builder,
  clock: Clock,
): { readonly promise: Promise<Attendance>; readonly callOff: () => void } {
  const { promise, resolve } = Promise.withResolvers<Attendance>();
  const callOff = repeatedly(ENGINE_WATCH_MS, clock, async () => {
    const missing = builder.busy ? null : await builder.examine();
    if (missing !== null && !builder.busy) resolve({ end: 'unequipped', reason: missing });
  });
  return { promise, callOff };
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
