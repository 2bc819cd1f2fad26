import type { BuildArguments } from '../../contract/build-arguments.ts';
import type { EngineMessage } from '../../contract/log-messages.ts';

/** Where a build comes from, and what it is once it lies on disk. */

export interface SourceCall {
  /** An empty folder of this build's own, mode 0700; whatever is fetched stays below it. */
  readonly directory: string;
  readonly signal: AbortSignal;
  /** Progress, as lines of the log. */
  readonly onMessage: (message: EngineMessage) => void | Promise<void>;
}

/** An image that a Dockerfile takes something from. */
export interface BaseImage {
  /** As it is pulled: `name:tag` or `name@digest`, or `scratch`. */
  readonly reference: string;
  /** The registry's host, `docker.io` when the name has none. */
  readonly registry: string;
  /** The part before tag or digest, as written. */
  readonly name: string;
  /** The tag, or the digest, `latest` when there is none. */
  readonly tag: string;
  /** The platform that the FROM names, '' where that is one that the engine sets; absent: the build's own. */
  readonly platform?: string;
}

export interface FetchedSource {
  /** Absolute path of the build context. */
  readonly contextDirectory: string;
  /** Absolute path of the Dockerfile. */
  readonly dockerfile: string;
  /** The base of the stage that is built: what the `pulling` phase reports. */
  readonly base: BaseImage;
  /**
   * What to pull: every image that a stage, a `COPY --from` or a mount takes from, without `scratch` and doubles, `base` first.
   * A base whose name could not be read is not among them, and nor is `scratch`.
   */
  readonly images: readonly BaseImage[];
  /** Whether some image's name could not be read, so that the engine must ask the registries itself. */
  readonly uncertain: boolean;
  /** Whether an engine may read names of images where none was read here, and must ask their registries too: it reads in its own way. */
  readonly mayNameMore: boolean;
}

/** Fetches the package or the commit, and reads its Dockerfile. Throws a BuildError that names what is wrong. */
export type FetchSource = (build: BuildArguments, call: SourceCall) => Promise<FetchedSource>;
