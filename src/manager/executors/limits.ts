/** Every limit and interval of hosted workers, and what happens at it. */

/** How long a worker that is stopped may take to leave by itself, in milliseconds; then it is killed with all it has started. */
export const LEAVE_WITHIN_MS = 10_000;

/** How often the end of a process is looked for, in milliseconds. */
export const PROCESS_LOOK_MS = 25;

/** How long an engine may take to answer, in milliseconds; stopping a container waits for its worker beside that. */
export const ENGINE_ANSWER_MS = 30_000;

/** How often a container that the engine is still making is looked for, in milliseconds. */
export const ENGINE_LOOK_MS = 100;

/** How much a worker's container may log, as the engine counts it: its beginning goes. */
export const CONTAINER_LOG_SIZE = '1m';

/** How much of the end of a failed worker's own log the manager repeats in its own, in bytes. */
export const WORKER_LOG_END_BYTES = 2_048;

/** The longest that a worker may take to be `ready` (worker contract 0.3, "for timing"), and what it may take and live where nothing is said, in seconds. */
export const SETUP_MAX_SECONDS = 500;
export const SETUP_DEFAULT_SECONDS = 120;
export const LIFETIME_DEFAULT_SECONDS = 7_200;
export const LIFETIME_MAX_SECONDS = 86_400;

/** How many executors there may be, and how many workers of one; a file that asks for more is refused. */
export const EXECUTORS_MAX = 32;
export const CAPACITY_MAX = 1_000;

/** How often a manager says again which executors it has, in milliseconds: `REALM_KEEP_SECONDS` without, and they are forgotten. */
export const ANNOUNCE_MS = 60_000;

/** How often an executor is asked what it runs, in milliseconds, while a worker is on its way or about to leave, and else. */
export const LOOK_STARTING_MS = 1_000;
export const LOOK_MS = 5_000;

/** How long an executor that failed to bring a worker is left alone, in milliseconds: doubled each time, up to the longest. */
export const HOLD_FIRST_MS = 5_000;
export const HOLD_LONGEST_MS = 300_000;

/** How long a worker may stay after its try has ended, in seconds; then it is ended. */
export const LEAVE_SECONDS = 30;
