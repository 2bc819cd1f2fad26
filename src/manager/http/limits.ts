/** What the HTTP listener bounds, and what happens at each bound. Sizes in bytes, times in milliseconds. */

const KIB = 1024;
const MIB = 1024 * KIB;

/** A JSON body, or the part `request`, above this: `body_too_large`. An ssh key is the largest thing in it. */
export const JSON_BODY_MAX = 256 * KIB;
/** A form above this, for the registry's token server: `body_too_large`. */
export const FORM_BODY_MAX = 16 * KIB;
/** A package above this, unless the operator says otherwise: `package_too_large`, and what was stored is removed. */
export const PACKAGE_MAX_DEFAULT = 2048 * MIB;
/** What a multipart body may have beside the package's bytes: the request, boundaries and headers. */
export const MULTIPART_OVERHEAD_MAX = JSON_BODY_MAX + 64 * KIB;
/** Headers above this: 431, by Node itself. */
export const HEADERS_MAX = 16 * KIB;
/** Headers that take longer to arrive: 408, by Node itself. */
export const HEADERS_TIMEOUT_MS = 20_000;
/** A request that takes longer to arrive, package and all: 408, by Node itself. */
export const REQUEST_TIMEOUT_MS = 30 * 60_000;
/** A connection on which nothing moved for this long, in either direction, is closed: also a viewer who stopped reading. */
export const CONNECTION_IDLE_MS = 120_000;
/** An idle connection is kept for the next request for this long. */
export const KEEP_ALIVE_MS = 10_000;
/** A part of a path above this: `uri_too_long`. A capability has 43 characters, a build's id 36. */
export const PATH_PARAMETER_MAX = 256;

/** What `Retry-After` says where there is no database, or no room for another viewer, in seconds. */
export const RETRY_AFTER_SECONDS = 5;

/** How many may follow logs at once: the next one gets `too_many_viewers`. */
export const VIEWERS_MAX = 512;
/** How many records are read from the store at once for a log; a viewer holds no more than this of it in memory. */
export const LOG_PAGE_RECORDS = 1000;
/** A followed log that says nothing for this long gets a comment, so that no proxy closes it. */
export const LOG_KEEP_ALIVE_MS = 15_000;

/** How many entries of the audit trail a page has unless it is said, and at most; lines are read in pages of the most. */
export const AUDIT_PAGE_DEFAULT = 50;
export const AUDIT_PAGE_MAX = 500;

/** How much of a package is looked at to tell its kind. */
export const SNIFF_BYTES = 512;

/** How many wrong parts of a request are named, and how long each message may be, in characters. */
export const DETAILS_MAX = 32;
export const DETAIL_MAX_LENGTH = 300;
/** Tokens beyond this in a tokens file are refused when it is read. */
export const API_TOKENS_MAX = 1000;

/** How many registries a namespace may have credentials for; more are refused. */
export const CREDENTIALS_MAX = 32;

/** Of how many starts at least it is said how long builds usually wait. */
export const USUAL_WAIT_STARTS_MIN = 5;
