import { setTimeout as wait } from 'node:timers/promises';
import pg from 'pg';
import type { Logger } from 'pino';
import { reasonOf } from '../contract/reason.ts';
import { DatabaseAway, DatabaseFull } from './errors.ts';
import { meaningOf } from './failures.ts';
import type { HealthMonitor } from './health.ts';
import type { Connections, StatementObserver } from './ports/health.ts';
import {
  ANSWER_TIMEOUT_MS,
  AWAY_RETRY_MS,
  AWAY_RETRY_WAIT_MS,
  AWAY_TRIES,
  CONFLICT_TRIES,
  CONNECT_TIMEOUT_MS,
  DISCONNECT_TIMEOUT_MS,
  FULL_TELL_MS,
  POOL_CONNECTIONS,
  STATEMENT_TIMEOUT_MS,
} from './limits.ts';
import type { Statement } from './statements.ts';
import { camelCaseRow, typeParsers } from './values.ts';

/** Runs a statement and answers with its rows, their columns named as in TypeScript. */
export type Run = <Values extends readonly unknown[], Row>(
  statement: Statement<Values, Row>,
  values: Values,
) => Promise<readonly Row[]>;

/** Where the database is, as `pg` reads it: a `connectionString`, or a socket's folder as `host`. */
export type Address = Pick<
  pg.ClientConfig,
  'connectionString' | 'host' | 'port' | 'user' | 'database' | 'ssl' | 'options'
>;

/** Each operation of the store is one statement, and so a transaction by itself. */
export interface Database {
  /**
   * Fails with {@link DatabaseAway} when there is no answer; a repeatable statement is asked for a while first. Conflicts with
   * others are never seen.
   */
  readonly run: Run;
  readonly connections: () => Connections;
  /** After what is under way. */
  close(): Promise<void>;
}

/** What every connection of ours is opened with. */
export function connectionOptions(address: Address): pg.ClientConfig {
  return {
    ...address,
    application_name: 'quay-build-manager',
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
    types: typeParsers,
  };
}

/** Ends a connection, in whatever state it is: one that a server has forgotten may never say that it has ended. */
export async function disconnect(client: pg.Client): Promise<void> {
  const ended = new AbortController();
  await Promise.race([
    client.end().catch(() => undefined),
    wait(DISCONNECT_TIMEOUT_MS, undefined, { signal: ended.signal }).catch(() => undefined),
  ]);
  ended.abort();
}

/** Opens a pool. Connections are made when they are needed, so that this asks nothing of the server. */
export function openDatabase(
  address: Address,
  health: HealthMonitor,
  log: Logger,
  onStatement: StatementObserver = () => undefined,
): Database {
  const pool = new pg.Pool({
    ...connectionOptions(address),
    max: POOL_CONNECTIONS,
    statement_timeout: STATEMENT_TIMEOUT_MS,
    query_timeout: ANSWER_TIMEOUT_MS,
  });
  pool.on('error', (error) => {
    // An idle connection was cut; the pool has dropped it already.
    if (meaningOf(error) === 'away') health.lost();
    log.debug({ err: error }, 'A connection to the database was lost.');
  });

  let toldFullAt = Number.NEGATIVE_INFINITY;
  const tellFull = (error: unknown): void => {
    if (performance.now() - toldFullAt < FULL_TELL_MS) return;
    toldFullAt = performance.now();
    log.error(
      { reason: reasonOf(error) },
      'The disk of the database is full: make room. What must be stored waits for it.',
    );
  };

  const attempt = async <Values extends readonly unknown[], Row>(
    { name, text }: Statement<Values, Row>,
    values: Values,
  ): Promise<readonly Row[]> => {
    const began = performance.now();
    const tell = (end: Parameters<StatementObserver>[1]): void =>
      onStatement(name, end, (performance.now() - began) / 1000);
    try {
      const { rows } = await pool.query<Record<string, unknown>>({ name, text, values: [...values] });
      health.answered();
      tell('done');
      // The one place where the statements' word for what they give is taken: the tests run each of them.
      return rows.map(camelCaseRow) as Row[];
    } catch (error) {
      const meaning = meaningOf(error);
      if (meaning === 'away' || meaning === 'full') health.lost();
      if (meaning === 'full') tellFull(error);
      tell(meaning === 'outdated' ? 'conflict' : meaning);
      throw error;
    }
  };

  /** The pool drops a connection whose statements are outdated; each of the others may be as old. */
  const attemptAnew: Run = async (statement, values) => {
    for (let dropped = 0; ; dropped += 1) {
      try {
        return await attempt(statement, values);
      } catch (error) {
        if (meaningOf(error) !== 'outdated' || dropped === POOL_CONNECTIONS) throw error;
      }
    }
  };

  return {
    async run(statement, values) {
      for (let tries = 1, pause = AWAY_RETRY_WAIT_MS; ; tries += 1, pause *= 2) {
        try {
          return await attemptAnew(statement, values);
        } catch (error) {
          const meaning = meaningOf(error);
          if (
            meaning === 'failed' ||
            meaning === 'outdated' ||
            (meaning === 'conflict' && tries >= CONFLICT_TRIES)
          )
            throw error;
          const lastTry = !statement.repeatable || tries >= AWAY_TRIES || health.awayForMs() > AWAY_RETRY_MS;
          if (meaning === 'away' && lastTry) {
            throw new DatabaseAway('The database does not answer.', { cause: error });
          }
          if (meaning === 'full' && lastTry) {
            throw new DatabaseFull('The disk of the database is full.', { cause: error });
          }
          await wait(pause);
        }
      }
    },
    connections: () => ({
      busy: pool.totalCount - pool.idleCount,
      idle: pool.idleCount,
      waiting: pool.waitingCount,
    }),
    close: () => pool.end(),
  };
}
