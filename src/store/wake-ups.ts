import pg from 'pg';
import type { Logger } from 'pino';
import { connectionOptions, disconnect, type Address } from './database.ts';
import type { HealthMonitor } from './health.ts';
import { CONNECT_TIMEOUT_MS, LISTEN_HEARTBEAT_MS, LISTEN_RETRY_MS } from './limits.ts';
import type { WakeUp, WakeUps } from './ports/wake-ups.ts';

/**
 * One connection that listens, and is made again whenever it is lost. Its heartbeat finds a server that vanished without a word, and
 * keeps what is known of the database's health fresh while nothing else asks.
 */
export function listen(
  address: Address,
  health: HealthMonitor,
  log: Logger,
): WakeUps & { close(): Promise<void> } {
  const listeners = new Set<(event: WakeUp) => void>();
  let client: pg.Client | null = null;
  let timer: NodeJS.Timeout | null = null;
  let retryWait: number = LISTEN_RETRY_MS.first;
  let closed = false;

  const tell = (event: WakeUp): void => {
    for (const listener of [...listeners]) listener(event);
  };

  const schedule = (work: () => Promise<void>, ms: number): void => {
    if (!closed) timer = setTimeout(() => void work(), ms);
  };

  /** Gives a connection up, once, and tries again later. */
  const lose = (lost: pg.Client, error?: Error): void => {
    if (client !== lost) return;
    client = null;
    if (timer) clearTimeout(timer);
    health.lost();
    log.debug({ err: error }, 'The connection that listens to the database was lost.');
    void disconnect(lost);
    schedule(connect, retryWait);
    retryWait = Math.min(retryWait * 2, LISTEN_RETRY_MS.most);
  };

  const heartbeat = async (asked: pg.Client): Promise<void> => {
    try {
      await asked.query('select');
      if (client !== asked) return;
      health.answered();
      schedule(() => heartbeat(asked), LISTEN_HEARTBEAT_MS);
    } catch (error) {
      lose(asked, error instanceof Error ? error : new Error(String(error)));
    }
  };

  const connect = async (): Promise<void> => {
    const fresh = new pg.Client({ ...connectionOptions(address), query_timeout: CONNECT_TIMEOUT_MS });
    client = fresh;
    fresh.on('error', (error) => lose(fresh, error));
    fresh.on('end', () => lose(fresh));
    fresh.on('notification', ({ channel, payload = '' }) => {
      if (channel === 'queue') tell({ type: 'queue' });
      else if (channel === 'build' || channel === 'log' || channel === 'worker')
        tell({ type: channel, id: payload });
    });
    try {
      await fresh.connect();
      await fresh.query('listen queue; listen build; listen log; listen worker');
    } catch (error) {
      lose(fresh, error instanceof Error ? error : new Error(String(error)));
      return;
    }
    if (client !== fresh) return;
    retryWait = LISTEN_RETRY_MS.first;
    health.answered();
    tell({ type: 'resync' });
    schedule(() => heartbeat(fresh), LISTEN_HEARTBEAT_MS);
  };

  void connect();
  return {
    subscribe(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    async close() {
      closed = true;
      if (timer) clearTimeout(timer);
      const last = client;
      client = null;
      if (last) await disconnect(last);
    },
  };
}
