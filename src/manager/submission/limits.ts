/** What a submission is bounded by; first, the resolving of its git ref. Times in milliseconds, where they say nothing else. */

/** How many refs are looked up at once, each by a git of its own; more wait, and beyond this many, or this long, are refused as `git_busy`. */
export const REFS_AT_ONCE = 8;
export const REFS_WAITING_MAX = 64;
export const REFS_WAIT_MS = 20_000;
/** After how many seconds who was refused may come again. */
export const REFS_RETRY_SECONDS = 10;

/** How long all of it may take, its redirects and the check of a key included; then it is refused as `git_unreachable`. */
export const RESOLVE_WITHIN_MS = 20_000;
/** How long a connection may take to be made, and a server to send nothing. */
export const CONNECT_WITHIN_MS = 10_000;
export const STALL_MS = 10_000;
/** How much a server may list, in characters: only the refs that are asked for are, where it speaks protocol version 2. */
export const LIST_MAX = 16 * 1024 * 1024;
export const REDIRECTS_MAX = 10;
/** How much of git's own words goes into the refusal, in characters. */
export const GIT_WORDS_MAX = 300;

/** How far in the future a build may begin: what waits holds its package, its secrets and its place in the queue. In days. */
export const NOT_BEFORE_MAX_DAYS = 366;

/** What `Retry-After` says where as many builds of a namespace wait as may, in seconds. */
export const NAMESPACE_RETRY_AFTER_SECONDS = 30;
