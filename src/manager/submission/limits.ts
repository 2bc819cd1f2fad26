/** What resolving a git ref is bounded by; at each bound the submission is refused as `git_unreachable`. */

/** How long the server may take to list its refs, in milliseconds. */
export const LS_REMOTE_TIMEOUT_MS = 20_000;
/** How much it may list, in bytes: only the refs that are asked for are, where it speaks protocol version 2. */
export const LS_REMOTE_OUTPUT_MAX = 64 * 1024 * 1024;
/** A transfer slower than this many bytes a second for so many seconds is given up. */
export const LOW_SPEED_BYTES = 100;
export const LOW_SPEED_SECONDS = 10;
/** How much of git's own words goes into the refusal, in characters. */
export const GIT_WORDS_MAX = 300;
