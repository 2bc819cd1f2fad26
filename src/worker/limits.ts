/** Every limit of the worker's link and phases. Times in milliseconds, sizes in bytes or characters. */

/** Contract 0.3, "Connecting": how long one connection may take to open, its TLS and WebSocket handshakes included. */
export const CONNECT_WITHIN_MS = 10_000;
/** How long a hosted worker waits between its tries to connect; after the last it gives up. */
export const HOSTED_RETRIES_MS: readonly number[] = [2_000, 4_000, 8_000, 16_000];
/** An enterprise worker's first wait before it connects again, doubled each time up to the longest. */
export const RECONNECT_FIRST_MS = 2_000;
export const RECONNECT_LONGEST_MS = 60_000;
/** How long the manager may take to answer HELLO, `register`, `ping`, REGISTER and `ready`. */
export const JOIN_STEP_WITHIN_MS = 30_000;
/** How long it may take to answer any other call; then the call has failed. As long as a deployed manager's lease. */
export const CALL_WITHIN_MS = 300_000;
/** How long GOODBYE may wait for its answer before the connection is closed all the same. */
export const GOODBYE_WITHIN_MS = 2_000;
export const HEARTBEAT_EVERY_MS = 1_000;
/** How often a worker without a build asks a manager, which would give it up without a word, whether it is still known there. */
export const PING_MANAGER_EVERY_MS = 60_000;
/** A connection over which pongs have come, and then nothing for this long, is lost: early enough that a build is resumed. */
export const PING_EVERY_MS = 5_000;
export const SILENCE_MAX_MS = 20_000;
/** The same with a manager that takes no worker back: its build would be lost, and one that waits for its database may not even answer pings. */
export const SILENCE_WITHOUT_RESUME_MAX_MS = 90_000;
/** A frame from the manager that is larger closes the connection. */
export const FRAME_MAX_BYTES = 16 * 1024 * 1024;

/** How often a worker says that it lives, and after which silence it is said to hang. */
export const HEALTH_EVERY_MS = 5_000;
export const HEALTH_STALE_MS = 30_000;

/** How long lines are gathered for a batch, and at which size it goes at once. */
export const BATCH_AFTER_MS = 50;
export const BATCH_BYTES = 16 * 1024;
/** How much one batch carries; more waits for the next. */
export const BATCH_BYTES_MAX = 1024 * 1024;
/** A batch is idempotent, so that a refused one is sent again: so many times in all. */
export const BATCH_TRIES = 3;
export const BATCH_RETRY_MS = 1_000;
/** How often the worker's own log says that lines of a build's were lost. */
export const LOSSES_EVERY_MS = 10_000;
/** Lines that wait to be sent; at either limit the engine waits. */
export const LOG_QUEUE_MAX = 1_000;
export const LOG_QUEUE_BYTES_MAX = 1024 * 1024;

/** How long the output of a step is gathered before it is masked and cut, and at which size it goes at once, in characters. */
export const GATHER_MS = 10;
export const GATHER_CHARACTERS = 16_384;

/** How much of a spooled log is read at once. */
export const SPOOL_READ_BYTES = 1024 * 1024;

/** A worker that lost its connection during a build waits so long before it tries to come back, doubled each time up to the longest. */
export const RESUME_FIRST_MS = 500;
export const RESUME_LONGEST_MS = 8_000;
/** A result that the manager refuses is told again: so many times in all. */
export const RESULT_TRIES = 3;
export const RESULT_RETRY_MS = 1_000;

/** A longer line of the log is cut, with a mark, in characters. */
export const LINE_MAX = 16_384;
/** A longer piece of output is sent as several messages, in characters. */
export const PIECE_MAX = 16_384;
/** Progress of one layer is told again after so many bytes, or after this time. */
export const PROGRESS_BYTES = 10_000_000;
export const PROGRESS_EVERY_MS = 1_000;
/** Layers whose progress is remembered; beyond it the oldest is forgotten, and told once too often. */
export const PROGRESS_LAYERS_MAX = 1_000;
/** How long `base_error` may be, in characters: its end is kept. */
export const BASE_ERROR_MAX = 8_192;
/** How often a slot without a build looks whether its engine still answers. */
export const ENGINE_WATCH_MS = 5_000;
/** How long the engine may take, at start, to say what it is. */
export const DESCRIBE_WITHIN_MS = 5_000;
/** How long `doctor` waits for a manager, a registry or a program, and with how little free disk it warns. */
export const DOCTOR_WITHIN_MS = 10_000;
export const DOCTOR_DISK_BYTES = 10 * 1024 ** 3;
/** How long `doctor` lets an engine with much on it be measured. */
export const DOCTOR_MEASURE_WITHIN_MS = 60_000;
/** Contract 0.3: requests that pull or push are tried so many times. */
export const ENGINE_TRIES = 3;
/** A pull or push of which the engine says nothing for so long has failed: the registry hangs. */
export const TRANSFER_STALL_MS = 300_000;
/** With how little free disk a worker takes no build, and stops those that fill it. */
export const DISK_LEAST_FREE_BYTES = 64 * 1024 ** 2;
/** How often the free disk is looked at while an engine pulls or builds. */
export const SPACE_LOOK_MS = 100;
/** How long the engine may take to be measured and brought within its budget; then that is given up until the next build. */
export const DISK_SWEEP_WITHIN_MS = 600_000;
/** How long the answer of a build that found the disk full waits until room was made, so that the next one finds it. */
export const DISK_ROOM_WITHIN_MS = 30_000;
/** The wait before room is looked for again, doubled each time. */
export const ROOM_AGAIN_MS = 500;
/** The share of the time in which an engine may be measured, as that costs it; its file system tells sooner where it is in sight. */
export const MEASURE_SHARE = 0.05;
/** How long the engine may take to remove a name; then the build ends all the same. */
export const UNTAG_WITHIN_MS = 30_000;
/** The wait before the second try; the next is twice as long. */
export const ENGINE_RETRY_MS = 1_000;
