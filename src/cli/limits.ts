/** What the command line bounds. Times in milliseconds, sizes in bytes. */

/** The manager must begin to answer within this; resolving a ref takes it up to 20 s. */
export const ANSWER_WITHIN_MS = 60_000;
/** A followed log that is silent for this long, without even a comment, counts as cut. */
export const SILENCE_MAX_MS = 60_000;
/** The waits between tries to follow again; the last one repeats. */
export const RECONNECT_WAITS_MS = [200, 500, 1000, 2000, 5000] as const;
/** A follower that reaches no manager for this long gives up. */
export const RECONNECT_FOR_MS = 10 * 60_000;
/** The largest answer that is read whole. */
export const ANSWER_MAX = 64 * 1024 * 1024;
/** The largest event of a followed log. */
export const EVENT_MAX = 16 * 1024 * 1024;

/** The shortest beginning of a build's id that is looked for, in characters. */
export const ID_PREFIX_MIN = 4;
/** How many builds that begin so are named, where there are several. */
export const ID_PREFIX_FOUND = 10;

/** How often the live view is drawn at most, and how many transfers it shows. */
export const DRAW_EVERY_MS = 100;
export const TRANSFERS_SHOWN = 4;

/** Good enough for source code, and far from being what a build waits for. */
export const GZIP_LEVEL = 4;
/** A .dockerignore larger than this is not one. */
export const DOCKERIGNORE_MAX = 1024 * 1024;
/** The file of the token that the manager is shown, in bytes. */
export const TOKEN_FILE_MAX_BYTES = 65_536;
/** A file that is sent as a secret of a build, in bytes: as much as the manager takes of all of them. */
export const SECRET_FILE_MAX_BYTES = 131_072;

/** How often a worker that is being drained is looked at. */
export const DRAIN_LOOK_MS = 1000;
