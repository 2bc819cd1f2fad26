import type { Problem } from '../../contract/api.ts';

/** Every refusal of the HTTP API: what happened and what to do about it. `docs/errors.md` is generated from this. */

interface ProblemKind {
  /** HTTP status (RFC 9110). */
  readonly status: number;
  readonly message: string;
  readonly help: string;
}

export const problemKinds = {
  request_invalid: {
    status: 400,
    message: 'The request is not what this endpoint takes.',
    help: 'Correct each part that details names; /openapi.json describes the whole request.',
  },
  http_invalid: {
    status: 400,
    message: 'This is not an HTTP/1.1 request.',
    help: 'Use http:// in the URL where the manager is reached without TLS, and check that no proxy on the way changes requests.',
  },
  request_incomplete: {
    status: 400,
    message: 'The connection was closed before the whole request had arrived.',
    help: 'Send it again.',
  },
  json_invalid: {
    status: 400,
    message: 'The body is not JSON.',
    help: 'Send a JSON object, in UTF-8, with Content-Type: application/json.',
  },
  multipart_invalid: {
    status: 400,
    message: 'The multipart body is not what this endpoint takes.',
    help: 'Send a first part named request (the JSON of the build), then at most one part named package (the file), both complete.',
  },
  source_ambiguous: {
    status: 400,
    message: 'A build needs exactly one source.',
    help: 'Give one of these: a part named package, build_package (the URL of an archive), or git.',
  },
  registry_missing: {
    status: 400,
    message: 'The build names no registry, and this manager has none of its own.',
    help: 'Name the registry in the field registry, or ask the operator to set REGISTRY.',
  },
  package_empty: {
    status: 400,
    message: 'The package is empty.',
    help: 'Send a tar, tar.gz or zip archive, or a lone Dockerfile.',
  },
  git_url_refused: {
    status: 400,
    message: 'This manager does not fetch from git URLs of this form.',
    help: 'Use http:// or https://, a host and a path, as in https://git.example/team/app.git, or ssh://git@git.example/team/app.git with a private_key.',
  },
  git_ref_not_found: {
    status: 422,
    message: 'The git repository has no such branch or tag.',
    help: 'Check its name, and that it was pushed; a commit must be given by its full id.',
  },
  git_denied: {
    status: 422,
    message: 'The git server refuses access to this repository, or does not have it.',
    help: 'Check the URL; for a private repository put a user and a token into it, as in https://USER:TOKEN@HOST/PATH, or, over ssh, add the public half of private_key to it.',
  },
  git_key_refused: {
    status: 422,
    message: 'The private key cannot be used.',
    help: 'Give private_key as ssh-keygen writes it, in OpenSSH or PEM format, complete and without a passphrase.',
  },
  timeout_too_long: {
    status: 422,
    message: 'The build asks for more time than this manager allows.',
    help: 'Ask for no more than details allows, or have the operator raise BUILD_TIMEOUT_MAX_SECONDS.',
  },
  not_before_too_late: {
    status: 422,
    message: 'The build would begin too far in the future.',
    help: 'Give a not_before within a year from now; submit what begins later when its time is nearer.',
  },
  git_host_refused: {
    status: 422,
    message: 'This manager may not reach the git server, or does not know its host key.',
    help: 'Check the host in the URL; the operator says which addresses are allowed (PRIVATE_ADDRESSES) and which host keys are known (GIT_KNOWN_HOSTS_FILE).',
  },
  git_unreachable: {
    status: 502,
    message: 'The git server does not answer.',
    help: 'Check the host in the URL and that the manager may reach it, then submit again.',
  },
  unauthorized: {
    status: 401,
    message: 'This manager requires a token, and the request has none, or an unknown one.',
    help: 'Send Authorization: Bearer TOKEN; quay-build takes it from QUAY_BUILD_TOKEN or QUAY_BUILD_TOKEN_FILE.',
  },
  forbidden: {
    status: 403,
    message: 'This token does not allow that.',
    help: 'Ask the operator for a token with the scope named above.',
  },
  host_refused: {
    status: 403,
    message: 'A manager without API tokens answers only requests for an IP address or localhost.',
    help: 'Use the IP address of the manager in the URL, or have the operator set API_TOKENS_FILE.',
  },
  origin_refused: {
    status: 403,
    message: 'A manager without API tokens does not serve web pages of other origins.',
    help: 'Call it from a program, or have the operator set API_TOKENS_FILE.',
  },
  not_found: {
    status: 404,
    message: 'There is nothing at this path.',
    help: '/openapi.json lists every path and its methods.',
  },
  build_not_found: {
    status: 404,
    message: 'There is no build with this id.',
    help: 'List the builds with GET /api/v1/builds, or quay-build list.',
  },
  credential_not_found: {
    status: 404,
    message: 'The namespace has no credentials for this registry.',
    help: 'quay-build credentials list --namespace NAMESPACE shows which it has.',
  },
  worker_not_found: {
    status: 404,
    message: 'There is no worker with this id, and never was.',
    help: 'List the workers with GET /api/v1/workers, or quay-build workers.',
  },
  package_not_found: {
    status: 404,
    message: 'This package does not exist, or can no longer be fetched.',
    help: 'Nothing to do: the try that it belonged to has ended.',
  },
  method_not_allowed: {
    status: 405,
    message: 'This path does not have this method.',
    help: '/openapi.json lists every path and its methods.',
  },
  not_acceptable: {
    status: 406,
    message: 'The answer cannot be sent in a form that the request accepts.',
    help: 'Accept text/plain, application/x-ndjson or text/event-stream for a log, application/json or application/x-ndjson for the audit trail.',
  },
  request_timeout: {
    status: 408,
    message: 'The whole request did not arrive in time.',
    help: 'Send it again, over a faster connection if you can; or give a package by its URL (build_package).',
  },
  build_ended: {
    status: 409,
    message: 'The build has already ended.',
    help: 'Nothing to do; GET /api/v1/builds/ID, or quay-build show, says how it ended.',
  },
  credentials_full: {
    status: 409,
    message: 'The namespace already has credentials for as many registries as it may have.',
    help: 'Remove those for a registry that it no longer needs.',
  },
  no_worker_fits: {
    status: 409,
    message: 'No connected worker and no executor could ever take this build.',
    help: 'Ask for other worker_labels, another platform or fewer options, have a suitable worker started, or leave out require_worker (--require-worker): then the build waits for one.',
  },
  body_too_large: {
    status: 413,
    message: 'The request is larger than this endpoint accepts.',
    help: 'Send a package as the multipart part package, not within the JSON.',
  },
  package_too_large: {
    status: 413,
    message: 'The package is larger than this manager accepts.',
    help: 'Leave out what the build does not need with a .dockerignore file, or use git or a URL.',
  },
  uri_too_long: {
    status: 414,
    message: 'A part of the path is too long.',
    help: 'Check the URL.',
  },
  unsupported_media_type: {
    status: 415,
    message: 'This endpoint does not accept a body of this media type.',
    help: 'Use application/json, or multipart/form-data for a build with a package.',
  },
  namespace_full: {
    status: 429,
    message: 'As many builds of this namespace are waiting as it may have.',
    help: 'Submit again when some of them have started, cancel those that nobody needs, or ask the operator for a higher limit (quay-build namespaces set --max-waiting).',
  },
  headers_too_large: {
    status: 431,
    message: 'The headers of the request are too large.',
    help: 'Send fewer or shorter headers.',
  },
  internal: {
    status: 500,
    message: 'The manager met an unexpected error.',
    help: "Ask the operator to look at the manager's log; it has this request's id.",
  },
  git_busy: {
    status: 503,
    message: 'The manager is looking up as many git refs as it can at once.',
    help: 'Submit again in a few seconds, or give a full commit id as ref, which needs no lookup.',
  },
  too_many_viewers: {
    status: 503,
    message: 'As many viewers are following logs as this manager serves at once.',
    help: 'Try again in a few seconds, or read the log without following it.',
  },
  manager_stopping: {
    status: 503,
    message: 'This manager is stopping.',
    help: 'Ask another manager on the same database, or this one once it has been started again; running builds go on.',
  },
  store_full: {
    status: 503,
    message: 'The manager has no room to store this: a disk is full.',
    help: 'Ask the operator to make room where DATA_DIR and the database are, then try again; running builds wait for it.',
  },
  store_unavailable: {
    status: 503,
    message: 'The manager cannot reach its database at the moment.',
    help: 'Try again in a few seconds; running builds go on.',
  },
} as const satisfies Record<string, ProblemKind>;

export type ProblemCode = keyof typeof problemKinds;
type ProblemDetail = NonNullable<Problem['details']>[number];

export interface ProblemOptions extends ErrorOptions {
  /** Said after the catalogue's message: what exactly, in this case. Never a secret. */
  readonly specifically?: string;
  readonly details?: readonly ProblemDetail[];
  /** Seconds after which the request may succeed, for `Retry-After`. */
  readonly retryAfterSeconds?: number;
}

/** A refusal of the API, by its code in the catalogue. */
export class ApiProblem extends Error {
  override readonly name = 'ApiProblem';
  readonly code: ProblemCode;
  readonly status: number;
  readonly retryAfterSeconds: number | undefined;
  readonly #details: readonly ProblemDetail[] | undefined;

  constructor(code: ProblemCode, options: ProblemOptions = {}) {
    const { message, status } = problemKinds[code];
    super(options.specifically === undefined ? message : `${message} ${options.specifically}`, options);
    this.code = code;
    this.status = status;
    this.retryAfterSeconds = options.retryAfterSeconds;
    this.#details = options.details;
  }

  /** The body of the answer. */
  toProblem(): Problem {
    const { help } = problemKinds[this.code];
    return {
      code: this.code,
      message: this.message,
      help,
      ...(this.#details ? { details: [...this.#details] } : {}),
    };
  }
}
