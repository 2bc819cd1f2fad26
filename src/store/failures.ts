/**
 * What a failure of the database means for who asked.
 *
 * - `conflict`: others were in the way; everything was undone, and may be asked again.
 * - `outdated`: a newer manager has changed the schema since the connection prepared the statement; nothing was done, and another connection
 *   prepares it anew.
 * - `full`: the server has no room on its disk for it; everything was undone.
 * - `away`: there is no server, or no way to it. What was asked may have happened.
 * - `failed`: asking again would fail again.
 */
type Meaning = 'conflict' | 'outdated' | 'full' | 'away' | 'failed';

/** By SQLSTATE (PostgreSQL, appendix A), or by its class. */
const bySqlState: Readonly<Record<string, Meaning>> = {
  '08': 'away', // connection exceptions
  '40001': 'conflict', // serialization_failure
  '40P01': 'conflict', // deadlock_detected
  '25006': 'away', // read_only_sql_transaction: the server that we knew is a standby now
  '53': 'away', // insufficient_resources: memory, connections
  '53100': 'full', // disk_full
  '57P01': 'away', // admin_shutdown
  '57P02': 'away', // crash_shutdown
  '57P03': 'away', // cannot_connect_now
  '57P05': 'away', // idle_session_timeout
};

/** Messages are in the language of the server: only its function tells "cached plan must not change result type" from others. */
const FEATURE_NOT_SUPPORTED = '0A000';
const PLAN_CHECK = 'RevalidateCachedQuery';

const systemCodes = new Set([
  'EAI_AGAIN',
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTDOWN',
  'EHOSTUNREACH',
  'ENETDOWN',
  'ENETUNREACH',
  'ENOENT', // the socket's file
  'ENOTCONN',
  'ENOTFOUND',
  'EPIPE',
  'ETIMEDOUT',
]);

/** `pg` gives its own losses of a connection no code. */
const clientWords =
  /^Connection terminated|^timeout exceeded when trying to connect|^Query read timeout|^timeout expired|not queryable/;

/** Reads a failure of `pg`, of the server or of the socket. */
export function meaningOf(error: unknown): Meaning {
  if (error instanceof AggregateError) return error.errors.some(isAway) ? 'away' : 'failed';
  if (!(error instanceof Error)) return 'failed';
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  if (systemCodes.has(code)) return 'away';
  if (code === FEATURE_NOT_SUPPORTED && 'routine' in error && error.routine === PLAN_CHECK) return 'outdated';
  const meaning = bySqlState[code] ?? bySqlState[code.slice(0, 2)];
  return meaning ?? (clientWords.test(error.message) ? 'away' : 'failed');
}

function isAway(error: unknown): boolean {
  return meaningOf(error) === 'away';
}
