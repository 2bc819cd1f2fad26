/** Every limit and interval of the manager's own rooms, and what happens at it. */

/**
 * Log messages of a worker that sends one message a call are stored together: after this time (milliseconds), or with this much text
 * (characters), whichever comes first.
 */
export const LOG_FLUSH_MS = 100;
export const LOG_FLUSH_CHARACTERS = 16_384;

/** While this much of a try's log, in characters, waits to be stored, its worker's next log call is not answered. */
export const LOG_WAITING_MAX_CHARACTERS = 1_048_576;

/** What a log record counts beyond its text, in bytes: its time, phase and step are stored too. */
export const LOG_RECORD_BYTES = 64;

/**
 * How many bytes of phases, status and progress a log may still take once it has no room for output (`TRY_LOG_MAX_BYTES`); beyond that
 * they are dropped too.
 */
export const LOG_RESERVE_BYTES = 16 * 1024 ** 2;

/** The longest text of a log record. Longer output of one message becomes several records; a longer status is cut, and says so. */
export const LOG_TEXT_MAX_CHARACTERS = 65_536;

/** How long a realm that was given to a worker waits for it to join; then the realm is removed. */
export const REALM_JOIN_SECONDS = 60;

/** How long the row of a joined realm is kept after its manager has last renewed it. */
export const REALM_KEEP_SECONDS = 300;

/** How many addresses a rate limit counts one by one; further ones within the minute are counted together. */
export const RATE_LIMIT_KEYS_MAX = 10_000;

/** How long a session may be open before its worker is ready, in milliseconds; then it is ended. */
export const READY_WITHIN_MS = 60_000;

/** How often the files of certificates are looked at, in milliseconds. */
export const TLS_LOOK_MS = 2_000;

/** How long a connection to the workers' listener may take for its TLS handshake, and then for its WebSocket's, in milliseconds. */
export const HANDSHAKE_WITHIN_MS = 10_000;

/** Tickets beyond this in a tickets file are refused when it is read. */
export const REGISTRATION_TICKETS_MAX = 10_000;

/** How often workers are looked at for silence, and their rows written, in milliseconds. */
export const WORKER_WATCH_MS = 1_000;
/**
 * A manager that was itself frozen for a moment has not read what workers sent meanwhile: it judges them again only after this many
 * looks that came in time.
 */
export const WATCHES_AFTER_A_STOP = 3;
export const WORKER_WRITE_MS = 5_000;
/**
 * How many workers one statement writes at most: ten thousand at once would be megabytes, and keep other statements waiting. The text of
 * this many is below 128 KiB: V8 would keep a larger one until its next full collection.
 */
export const WORKERS_A_STATEMENT = 200;

/** How often the queue is looked at without being woken, in milliseconds. */
export const QUEUE_POLL_MS = 5_000;

/** How many ready slots of one sort, and of the others together, a claim may choose from: those that were freed last. An executor's claim, of all sorts together. */
export const CLAIM_SLOTS_MAX = 64;

/** How often expired leases, realms and the like are swept, in milliseconds. */
export const SWEEP_MS = 10_000;

/** How long an internal error keeps a build from being tried again: the first, the second, …; the last one repeats. */
export const RETRY_DELAYS_SECONDS: readonly number[] = [10, 40, 120, 300, 600];
/** The share by which each of these delays is made shorter or longer, at random. */
export const RETRY_JITTER = 0.2;

/** How much longer than its limit a try may take here where its worker keeps the limit itself, so that the worker can end it and say so. */
export const LIMITS_MARGIN_SECONDS = 60;

/** How long a hosted worker lives beyond its build's deadline, so that the build ends by the deadline, and not with its worker. */
export const LIFE_RESERVE_SECONDS = LIMITS_MARGIN_SECONDS + 30;

/** How long a package outlives the end of its build, and one that was uploaded for no build. */
export const PACKAGE_KEEP_SECONDS = 3_600;

/** How often old builds and logs are looked for, in milliseconds, and how many of them go, or are packed, at a time. */
export const RETENTION_MS = 60_000;
export const RETENTION_AT_ONCE = 500;

/** How many entries of the audit trail go at a time. */
export const AUDIT_AT_ONCE = 10_000;

/** How long `/metrics` waits for the database, in milliseconds; then it answers without the metrics of the farm. */
export const PROBE_WITHIN_MS = 3_000;

/** How many namespaces the metrics name; the others are one. */
export const QUEUE_NAMESPACES = 20;

/** How often the more costly figures of the metrics are read at most, in milliseconds. */
export const QUEUE_FIGURES_MS = 10_000;
export const SIZE_FIGURES_MS = 60_000;

/** How long the log of a try that ended stays as it was written; then it is packed. */
export const ARCHIVE_AFTER_SECONDS = 60;

/** A blob that no row names is removed at this age, when no upload of it can still run. Looked for once in so many rounds of retention. */
export const ORPHAN_SECONDS = 86_400;
export const ORPHANS_EVERY = 60;

/** The longest name of a base image that is remembered of a try; a longer one is cut. */
export const BASE_IMAGE_MAX_CHARACTERS = 512;

/** The longest `base_error` that is kept, in characters; its middle is cut. */
export const BASE_ERROR_MAX_CHARACTERS = 8_192;

/** While the database is away, a write that must not be lost is tried again after this time, in milliseconds, doubled up to the longest. */
export const PERSIST_FIRST_WAIT_MS = 50;
export const PERSIST_LONGEST_WAIT_MS = 5_000;

/** How long a manager that has let go of its workers waits for what is under way to be stored, and then for requests to be answered, in milliseconds. */
export const STORE_WITHIN_MS = 5_000;

/** How many records a follower reads at once, and how often it looks without a hint, in milliseconds. */
export const FOLLOW_RECORDS = 500;
export const FOLLOW_POLL_MS = 5_000;

/** How long the credentials of a try live at most, should nobody end it. */
export const TRY_MAX_SECONDS = 90_000;

/** How many of a repository's last builds are looked at for an image that may prime the cache. */
export const CACHE_LOOK_BACK_BUILDS = 20;

/** How long looking for one may take, in milliseconds; then the build has no cache. */
export const CACHE_TAG_WITHIN_MS = 900;

/** How many tags its registry is asked for, and how many of them at once. */
export const CACHE_TAGS_MAX = 16;
export const CACHE_TAGS_AT_ONCE = 4;

/** How long a token for the registry lives at most, since it cannot be taken back before. */
export const REGISTRY_TOKEN_MAX_SECONDS = 300;

/** How long a token lives with which the manager itself asks its registry. */
export const OWN_TOKEN_SECONDS = 60;

/** How far the clock of a registry may be behind ours without it refusing a new token. */
export const CLOCK_SKEW_SECONDS = 10;

/** How many repositories one token for the registry may name; more are left out. A push that mounts layers asks for a few. */
export const SCOPES_MAX = 32;

/** A longer scope is left out. */
export const SCOPE_MAX_CHARACTERS = 512;

/** How long the tokens of a key that signed may be in use: their life, and how far behind a registry lets a clock be. */
export const RETIRE_AFTER_SECONDS = REGISTRY_TOKEN_MAX_SECONDS + 60;

/** How long a registry may take to say whether it trusts a key, in milliseconds. */
export const REGISTRY_ASKED_WITHIN_MS = 10_000;

/** How many secrets are sealed anew between two looks for more. */
export const RESEAL_AT_ONCE = 500;

/** How often it is looked whether the key file has changed, in milliseconds. */
export const KEY_FILE_WATCH_MS = 2_000;

/** How many lines a key file may have, the key in use and those it replaced; one with more is refused. */
export const SECRET_KEYS_MAX = 16;

/** The largest file of hashed tokens or tickets, in bytes. */
export const SECRETS_FILE_MAX_BYTES = 16 * 1024 * 1024;
