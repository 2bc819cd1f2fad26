import type { Logger } from 'pino';
import { BuildError } from '../contract/build-errors.ts';
import type { Proxies } from '../contract/network/proxies.ts';
import type { WorkerOffer } from '../contract/extensions.ts';
import { reasonOf } from '../contract/reason.ts';
import type { Builder } from './builder.ts';
import { type Clock, sleep } from './clock.ts';
import type { ResumableLink } from './link/build-link.ts';
import { type ForsakenTries, rejoin, ResumeRefusedError } from './link/enlisting.ts';
import type { RetryDelay } from './link/reconnecting.ts';
import { LinkError, type RealmSession } from './link/session.ts';
import { readTlsOptions, type TlsPaths } from './link/tls.ts';
import { openTransport, type Transport } from './link/transport.ts';

export interface ResumingOptions {
  readonly endpoint: URL;
  readonly tls: TlsPaths;
  /** The proxies to the manager; none when absent. */
  readonly proxies?: Proxies;
  readonly offer: WorkerOffer;
  readonly forsaken: ForsakenTries;
  readonly builder: Builder;
  /** How long to wait between the attempts to come back. */
  readonly resumeDelay: RetryDelay;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** A session in which the worker has its build again, and the connection that it lives on. */
interface Return {
  readonly session: RealmSession;
  readonly transport: Transport;
}

/**
 * Sees a build to its end whose connection was lost: it goes on, and the worker comes back with it as often as it must.
 *
 *              ┌──── the connection was lost again ────┐
 *              ▼                                       │
 *   away ─▶ connecting ─▶ rejoining ─▶ back ───────────┤
 *              │ ▲            │                        └── its end is stored ──▶ null
 *              │ └── wait ◀───┤
 *              │              └── refused ──▶ the build is stopped ──▶ why
 *              └── the grace is over ──▶ the build is stopped ──▶ why
 */
export async function seeThrough(link: ResumableLink, options: ResumingOptions): Promise<string | null> {
  const { builder, forsaken, clock, logger } = options;
  logger.warn({ grace_ms: link.graceMs }, 'the connection was lost during a build, which goes on');
  try {
    for (;;) {
      const callOff = clock.after(link.graceMs, () => {
        forsaken.add(link.lease);
        link.end(new LinkError('the manager was not reached again in time'));
      });
      const back = await comeBack(link, options).finally(callOff);
      if (back === null) break;
      logger.info('back with the build');
      await Promise.race([link.over, back.session.ended]);
      if (link.isFinished) await builder.idle();
      await back.session.leave('wamp.close.normal');
      await close(back.transport);
      if (link.isOver) break;
      logger.warn('the connection was lost again');
    }
    if (link.isFinished) {
      await builder.idle();
      return null;
    }
    await builder.stop(new BuildError('internalerror', 'The connection to the manager was lost.'));
    return await link.over;
  } catch (error) {
    if (!(error instanceof ResumeRefusedError)) throw error;
    link.end(new LinkError(error.message));
    await builder.stop(
      error.isCancelled
        ? new BuildError('clientrejectedtransition', 'The build was cancelled.')
        : new BuildError('internalerror', 'The manager did not take the build back.'),
    );
    return error.message;
  }
}

/** Connects and rejoins, again and again; null when the link is over. Throws ResumeRefusedError. */
async function comeBack(link: ResumableLink, options: ResumingOptions): Promise<Return | null> {
  const { resumeDelay, clock, logger } = options;
  const over = new AbortController();
  void link.over.then(() => over.abort());
  for (let failures = 1; ; failures += 1) {
    await sleep(clock, resumeDelay(failures) ?? 0, over.signal);
    if (link.isOver) return null;
    try {
      return await attempt(link, options, over.signal);
    } catch (error) {
      if (error instanceof ResumeRefusedError) throw error;
      logger.info({ reason: reasonOf(error) }, 'not back yet; trying again');
    }
  }
}

async function attempt(
  link: ResumableLink,
  { endpoint, tls, proxies, offer, builder, clock, logger }: ResumingOptions,
  signal: AbortSignal,
): Promise<Return> {
  const transport = await openTransport(endpoint, readTlsOptions(tls), clock, signal, proxies && { proxies });
  const abort = (): void => transport.end();
  signal.addEventListener('abort', abort);
  const onCancel = (reason: string): void => {
    logger.info({ reason }, 'the manager cancelled the build');
    void builder.stop(new BuildError('clientrejectedtransition', 'The build was cancelled.'));
  };
  try {
    return { session: await rejoin(transport, link, { offer, onCancel }, clock), transport };
  } catch (error) {
    await close(transport);
    throw error;
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

async function close(transport: Transport): Promise<void> {
  transport.end();
  await transport.closed;
}
