import type { Duplex } from 'node:stream';
import type { EngineMessage } from '../../contract/log-messages.ts';

/**
 * What a worker needs of an engine: the port that the Docker and Podman implementations stand behind. A call whose signal
 * is aborted rejects with the signal's reason, and has let go of the engine by then; every other failure is an {@link EngineError}.
 */

/** Credentials of one registry host; null is anonymous. */
export interface RegistryCredentials {
  readonly username: string;
  readonly password: string;
}

/** What every long call on the engine takes: how to stop it, and where its messages go, in order. */
export interface EngineCall {
  readonly signal: AbortSignal;
  /** A message of the engine's, progress not yet thinned. Returns a promise where the reader wants the engine to wait. */
  readonly onMessage: (message: EngineMessage) => void | Promise<void>;
}

export interface ImageBuild {
  /** Absolute path of the build context. */
  readonly contextDirectory: string;
  /** Absolute path of the Dockerfile, in the context or beside it. */
  readonly dockerfile: string;
  /** The name, `name:tag`, that the built image gets. */
  readonly reference: string;
  /** Images whose layers may serve as cache. */
  readonly cacheFrom: readonly string[];
  /** Asks the registry for each base, even for one that is on the engine. */
  readonly pull: boolean;
  /** Credentials by registry host, offered to that host only. */
  readonly credentials: ReadonlyMap<string, RegistryCredentials>;
  /** Values of the Dockerfile's ARGs. */
  readonly buildArgs: Readonly<Record<string, string>>;
  /** The stage that is built, by name or number; '' is the last. */
  readonly target: string;
  /** What the image is for, `os/architecture[/variant]`; '' is the engine's own. */
  readonly platform: string;
  /** What each step may use, which the classic builder keeps: memory in bytes, swap included, and CPUs. */
  readonly limits: { readonly memory?: number | undefined; readonly cpus?: number | undefined };
  /** What steps are connected to. */
  readonly network: 'default' | 'none' | 'host';
  /** Labels of the image, over the Dockerfile's. */
  readonly labels: Readonly<Record<string, string>>;
  /** What steps may mount (`RUN --mount=type=secret`), by id; only BuildKit can. */
  readonly secrets: ReadonlyMap<string, string>;
  /** The ssh agents that steps may mount (`RUN --mount=type=ssh`), by id; only BuildKit can. */
  readonly sshAgents: ReadonlyMap<string, SshAgent>;
  /** What keeps one tenant's uploaded context and cache mounts apart from another's: secret, and stable over builds. */
  readonly sharedKey: string;
}

/** An agent that holds an ssh key, and speaks its protocol (draft-ietf-sshm-ssh-agent) on each connection. */
export interface SshAgent {
  connect(): Duplex;
}

export interface EngineDescription {
  readonly name: string;
  readonly version: string;
  /** Which builder `build` uses. */
  readonly builder: 'buildkit' | 'classic';
}

export interface Engine {
  /**
   * Says what this engine is. Throws an EngineError `unreachable` when it does not answer, and `lacking` when it has no BuildKit
   * and nothing else may build.
   */
  describe(signal: AbortSignal): Promise<EngineDescription>;
  /** Pulls `name:tag` or `name@digest`, for a platform where one is given. Engines pull what there is when it has one platform alone. */
  pull(
    reference: string,
    credentials: RegistryCredentials | null,
    call: EngineCall,
    platform?: string,
  ): Promise<void>;
  /** Builds, and answers with the image's id. Steps are announced as `Step N/M : INSTRUCTION` (contract 0.3). */
  build(build: ImageBuild, call: EngineCall): Promise<{ imageId: string }>;
  /** The id of an image that is on the engine, and the platform that it says it is for; or null. */
  inspect(reference: string, signal: AbortSignal): Promise<{ imageId: string; platform: string } | null>;
  /** What a build that begins with this image does first (`ONBUILD`); null where the engine does not tell, as Podman. */
  triggers(reference: string, signal: AbortSignal): Promise<readonly string[] | null>;
  tag(reference: string, repository: string, tag: string, signal: AbortSignal): Promise<void>;
  /** Pushes one tag of `repository` (`host/namespace/name`) and answers with the digest the registry knows it by. */
  push(
    repository: string,
    tag: string,
    credentials: RegistryCredentials | null,
    call: EngineCall,
  ): Promise<{ digest: string }>;
  /** Removes a name (and the image, when it was the last); one that is gone already is no error. */
  untag(reference: string): Promise<void>;
}

/**
 * - `unreachable`: the engine does not answer, or went away in mid-call.
 * - `denied`, `not-found`: a registry's words on a name: of the image pulled or pushed, or of a base image of a build.
 * - `dockerfile`: the Dockerfile is missing or cannot be read.
 * - `failed`: what was asked did not work: a step, a transfer, a registry that does not answer.
 * - `refused`: the engine would not begin.
 * - `full`: there is no room left on its disk.
 * - `lacking`: it has not got the builder that was asked for.
 */
export type EngineErrorKind =
  'unreachable' | 'denied' | 'not-found' | 'dockerfile' | 'failed' | 'refused' | 'full' | 'lacking';

/** An engine call failed. The message is the engine's, fit for the user. */
export class EngineError extends Error {
  override readonly name = 'EngineError';
  readonly kind: EngineErrorKind;

  constructor(kind: EngineErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}
