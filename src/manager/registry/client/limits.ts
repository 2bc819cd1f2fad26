/** What asking registries is bounded by. Times in milliseconds, sizes in bytes. */

/** A registry that failed is left alone for so long, doubled each time up to the longest. */
export const BREAKER_FIRST_MS = 10_000;
export const BREAKER_LONGEST_MS = 300_000;
/** Of so many registries it is remembered how they are. */
export const HOSTS_MAX = 1000;

/** How many look-ups may be under way at one registry; one more is answered at once, as if the registry had failed. */
export const ASKED_AT_ONCE = 64;

/** How long a connection may take to be made, and a server to send nothing. */
export const CONNECT_WITHIN_MS = 2_000;
export const STALL_MS = 5_000;

/** The largest answer that is read: a token, or a list of tags. */
export const ANSWER_MAX = 1024 * 1024;
/** How many tags are asked for. */
export const TAGS_LISTED = 1000;
