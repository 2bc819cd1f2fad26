import type { Logger } from 'pino';
import type { BuildArguments } from '../../contract/build-arguments.ts';
import type { ExtensionName } from '../../contract/extensions.ts';
import type { Clock } from '../clock.ts';
import type { Engine, EngineCall } from '../engine/engine.ts';
import type { Entitlement } from '../entitlements.ts';
import type { FetchSource } from '../source/source.ts';
import type { Credentials } from './credentials.ts';
import type { BuildOutput } from './output.ts';

/** One build on its way through the phases: all that they share. */
export interface BuildRun {
  /** Names what this build makes for itself: its folder, and the image before it is tagged. */
  readonly id: string;
  readonly build: BuildArguments;
  readonly accepted: ReadonlySet<ExtensionName>;
  readonly credentials: Credentials;
  /** An empty folder of this build's own. */
  readonly directory: string;
  /** Keeps one repository's context and cache mounts apart from another's on the engine. */
  readonly sharedKey: string;
  /** Whether images are labelled with where they come from. */
  readonly ociLabels: boolean;
  /** What the steps of builds may have here beyond the usual. */
  readonly entitlements: ReadonlySet<Entitlement>;
  /** Where builds may push besides their own repository: a registry, or a path in one. */
  readonly pushTo: readonly string[];
  readonly engine: Engine;
  readonly fetchSource: FetchSource;
  /** Removes what was fetched, which nothing needs once the image is built; resolves when it is gone. Never fails. */
  readonly discardSource: () => Promise<void>;
  readonly output: BuildOutput;
  /** Asks the manager for the tag that may prime the cache (`determinecachetag`). */
  readonly determineCacheTag: (kwargs: CacheTagQuestion) => Promise<unknown>;
  /** Fires when the build must stop; its reason is the BuildError that it ends with. */
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The kwargs of `io.quay.buildworker.determinecachetag`. */
interface CacheTagQuestion extends Readonly<Record<string, string>> {
  readonly command_comments: string;
  readonly base_image_name: string;
  readonly base_image_tag: string;
  readonly base_image_id: string;
}

/** How this build calls its engine: stopped with the build, heard by its log. */
export function engineCall({ signal, output }: BuildRun): EngineCall {
  return { signal, onMessage: (message) => output.message(message) };
}

/** The name that the image has until its tags are known to be pushed. */
export function temporaryReference(id: string): string {
  return `quay-builder-${id}:build`;
}
