/** Every queue, buffer and wait of the store. */

/** Connections of one manager's pool. Further statements wait for one, as long as for a new connection. */
export const POOL_CONNECTIONS = 16;
/** How long a connection, new or of the pool, may take to get; then the database counts as away. */
export const CONNECT_TIMEOUT_MS = 10_000;
/** How long a statement may run; then it is undone and fails. */
export const STATEMENT_TIMEOUT_MS = 30_000;
/** How long an answer may take before its connection is given up: the server would have ended the statement by then. */
export const ANSWER_TIMEOUT_MS = 35_000;
/** How long a connection may take to say goodbye; then it is left to the system. */
export const DISCONNECT_TIMEOUT_MS = 2000;
/** How often a statement that others got in the way of is repeated; then it fails. */
export const CONFLICT_TRIES = 5;
/** How often a statement that may be repeated is tried while the database is away: a restart is hidden, an outage is not. */
export const AWAY_TRIES = 8;
/** The first wait between two such tries, which doubles: 3.2 s in all. */
export const AWAY_RETRY_WAIT_MS = 25;
/** Once the database has been away for so long, nothing is tried again. */
export const AWAY_RETRY_MS = 5000;

/** How often it is said that the database's disk is full, while it is. */
export const FULL_TELL_MS = 30_000;

/** How often the listening connection is tried while nothing else is heard on it; no answer within this, and it is replaced. */
export const LISTEN_HEARTBEAT_MS = 5000;
/** The waits between attempts to listen again. */
export const LISTEN_RETRY_MS = { first: 50, most: 5000 } as const;

/** How many records a chunk of a log holds; more become further chunks. */
export const LOG_CHUNK_RECORDS = 1000;
/** How many characters of JSON a chunk of a log holds; a single larger record has one to itself. */
export const LOG_CHUNK_CHARACTERS = 1024 * 1024;
/** How many chunks are read at a time; and of each log, where many are read together. */
export const LOG_READ_CHUNKS = 8;
export const LOG_FOLLOW_CHUNKS = 2;
/** How many logs are written in one statement, and how many are read; others wait for the next, a moment later. */
export const LOG_APPENDS_TOGETHER = 64;
export const LOG_READS_TOGETHER = 64;

/** How many packed logs, and packages, are deleted at a time, the oldest first. */
export const DELETED_AT_ONCE = 5000;
/** How far builds are counted that go before a waiting one. */
export const WAITS_COUNTED_MAX = 1000;
/** Of how many of the last starts it is said how long builds usually wait. */
export const WAITS_OF_STARTS = 500;

/** How often a build's worker may be lost without that using up a try: a build that ends its managers ends, too. */
export const LOSSES_MAX = 10;
/** How many overdue tries are ended at a time; the next look finds the rest. */
export const OVERDUE_AT_ONCE = 500;

/** How many blobs are looked up at a time. */
export const ORPHANS_AT_ONCE = 1000;

/** How often it is said that our own server is not ready yet: replaying its log after a crash takes its time. */
export const SERVER_TELL_MS = 5_000;
/** How long our own server's data may look as if another server held them; then starting it has failed. */
export const SERVER_OCCUPIED_MS = 120_000;
/** How long a lock of our own server may be empty, as it is while it is made; then whoever made it is dead. */
export const SERVER_LOCK_EMPTY_MS = 2000;
/** How often, and how far apart, the connections of others are looked for when we stop: our own take a moment to go. */
export const SERVER_CLIENTS_LOOKS = { times: 10, apartMs: 100 } as const;
/** How long our own server may take to stop; then it is killed, and recovers when it starts again. */
export const SERVER_STOP_TIMEOUT_MS = 60_000;
/** The waits between restarts of a crashing server. It starts at the first again once it has stayed up for the longest. */
export const SERVER_RESTART_MS = { first: 100, most: 30_000 } as const;
/** How much of our own server's log is kept, in bytes; over it, the older half goes. */
export const SERVER_LOG_BYTES = 4 * 1024 * 1024;
/** How often that log is looked at. */
export const SERVER_LOG_LOOK_MS = 60_000;

/** How long the realm of a forgotten worker is remembered, so that the manager that holds its session learns of it; in seconds. */
export const FORGOTTEN_KEEP_SECONDS = 600;
/** How long a drained worker without a name of its own is remembered when it is not connected any more, in seconds. */
export const UNNAMED_DRAINED_KEEP_SECONDS = 86_400;
