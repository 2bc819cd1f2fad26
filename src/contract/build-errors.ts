/** How a build fails: the ERROR that answers `io.quay.builder.build` (worker contract 0.3, "Errors"). */

const PREFIX = 'io.quay.builder.';

interface BuildErrorKind {
  /** Not the user's fault: the manager may try the build again. */
  readonly internal: boolean;
  /** What happened, in the words that the user reads before the masked `base_error`. */
  readonly message: string;
  /** What the user can do about it. */
  readonly help: string;
}

/** Every code of the contract; the URI is `io.quay.builder.` and the code. */
export const buildErrorKinds = {
  buildpackissue: {
    internal: true,
    message: 'The build package could not be fetched.',
    help: 'Check that the URL answers from the worker, then submit the build again.',
  },
  gitfailure: {
    internal: false,
    message: 'The git repository could not be fetched.',
    help: 'Check the URL, that the server is up, and that the build has credentials for it.',
  },
  gitcheckout: {
    internal: false,
    message: 'The commit could not be checked out.',
    help: 'Check that the commit was pushed to this repository, and that its submodules can be fetched.',
  },
  cannotextractbuildpack: {
    internal: false,
    message: 'The build package could not be unpacked.',
    help: 'Send a complete tar, tar.gz or zip archive whose entries stay inside it, or a lone Dockerfile.',
  },
  dockerfileissue: {
    internal: false,
    message: 'The Dockerfile is missing or cannot be read.',
    help: 'Check the context, the path of the Dockerfile below it, and the line that is named.',
  },
  cannotpullbaseimage: {
    internal: false,
    message: 'A base image could not be pulled.',
    help: 'Check its name and tag, and that this namespace may pull it.',
  },
  cannotpullforcache: {
    internal: true,
    message: 'The image that would have primed the cache could not be pulled.',
    help: 'Nothing to do: the build is tried again.',
  },
  cachelookupissue: {
    internal: true,
    message: 'The cache could not be looked up.',
    help: 'Nothing to do: the build is tried again.',
  },
  builderror: {
    internal: false,
    message: 'A step of the Dockerfile failed.',
    help: 'Read the end of the log: it shows the step and what it printed.',
  },
  buildrunerror: {
    internal: true,
    message: 'The build could not be started on the engine.',
    help: "Ask the operator to look at the worker's log and its engine.",
  },
  tagissue: {
    internal: true,
    message: 'The image could not be tagged.',
    help: "Ask the operator to look at the worker's engine.",
  },
  pushissue: {
    internal: true,
    message: 'The image could not be pushed.',
    help: 'Check that the registry is up and that this build may push to the repository.',
  },
  dockerconnecterror: {
    internal: true,
    message: "The worker's engine cannot be reached.",
    help: 'Ask the operator to check that the engine is up and that the worker may use its socket.',
  },
  missingorinvalidargument: {
    internal: true,
    message: 'The worker was given build arguments that it cannot use.',
    help: 'Ask the operator whether the versions of manager and worker match.',
  },
  errorduringphasetransition: {
    internal: true,
    message: 'The worker could not report its progress to the manager.',
    help: 'Nothing to do: the build is tried again.',
  },
  clientrejectedtransition: {
    internal: false,
    message: 'The build was cancelled.',
    help: 'Submit it again if that was not meant.',
  },
  internalerror: {
    internal: true,
    message: 'The worker could not do the build.',
    help: "Nothing to do: the build is tried again. If it still fails, ask the operator to look at the worker's log and disks.",
  },
} as const satisfies Record<string, BuildErrorKind>;

export type BuildErrorCode = keyof typeof buildErrorKinds;

/** The URI of a code, as it travels in the ERROR message. */
export function buildErrorUri(code: BuildErrorCode): string {
  return PREFIX + code;
}

/** The code of an ERROR's URI; every URI that the contract does not list is `internalerror`. */
export function buildErrorCode(uri: string): BuildErrorCode {
  const code = uri.startsWith(PREFIX) ? uri.slice(PREFIX.length) : '';
  return Object.hasOwn(buildErrorKinds, code) ? (code as BuildErrorCode) : 'internalerror';
}

/** How registries and engines say that a name does not exist, or may not be used by who asked. */
const NOT_FOUND_OR_DENIED =
  /denied|unauthorized|authentication required|not found|manifest unknown|name unknown|does not exist|no basic auth/i;

/**
 * Whether the manager may try the build again after this failure. *Not found* and *denied* on a pull or a push will be so again:
 * they are the user's to mend, whatever the code says.
 */
export function mayTryAgain(code: BuildErrorCode, baseError: string): boolean {
  const movesImages = code === 'pushissue' || code === 'cannotpullforcache';
  return buildErrorKinds[code].internal && !(movesImages && NOT_FOUND_OR_DENIED.test(baseError));
}

/** A build failed in a way that the contract names. Its message is `base_error`: text for the user, free of secrets. */
export class BuildError extends Error {
  override readonly name = 'BuildError';
  readonly code: BuildErrorCode;

  constructor(code: BuildErrorCode, baseError: string, options?: ErrorOptions) {
    super(baseError, options);
    this.code = code;
  }
}
