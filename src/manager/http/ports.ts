import type { FastifyBaseLogger } from 'fastify';
import type { Build, BuildRequest, LogPosition, LogRecord } from '../../contract/api.ts';
import type { Actor, BlobStore, BuildWithTries, Store } from '../../store/index.ts';
import type { ManagerMetrics } from '../metrics/metrics.ts';
import type { RegistryTokenServer } from '../registry/token-server.ts';
import type { SecretBox } from '../secrets/secret-box.ts';
import type { ApiTokens } from './api-tokens.ts';
import type { BuildViews } from './waiting-view.ts';

/** What the HTTP listener needs of the rest of the manager. */

/** An uploaded package: its bytes lie in the blob store, its row waits for its build. */
export interface UploadedPackage {
  readonly id: string;
  /** bytes */
  readonly size: number;
  /** hexadecimal */
  readonly sha256: string;
}

/**
 * Validates a build, resolves its ref and puts it into the queue. Who submits is named for the audit trail. Throws an
 * ApiProblem when it is refused; the package is then still the caller's to remove. A build that is not new is one of the same
 * `dedupe_key`.
 */
export type SubmitBuild = (
  request: BuildRequest,
  uploaded: UploadedPackage | null,
  submittedBy: Actor,
) => Promise<{ readonly build: BuildWithTries; readonly isNew: boolean }>;

/** What a viewer of a log is told, in order. */
export type LogEvent =
  | { readonly type: 'log'; readonly records: readonly LogRecord[] }
  | { readonly type: 'build'; readonly build: Build };

/**
 * All that comes after a position, and the build at first and whenever it changed, the last time in its final state after all its
 * records; then it ends. It reads on only when asked for more, so that a slow viewer holds nothing. Ends early, without an
 * error, when the signal says so.
 */
export type FollowLog = (buildId: string, after: LogPosition, signal: AbortSignal) => AsyncIterable<LogEvent>;

export interface HttpDependencies {
  readonly store: Pick<
    Store,
    | 'audit'
    | 'builds'
    | 'logs'
    | 'workers'
    | 'packages'
    | 'capabilities'
    | 'credentials'
    | 'namespaces'
    | 'readable'
    | 'health'
  >;
  /** What counts for namespaces without a limit of their own; null: any number. */
  readonly namespaceDefaults: { readonly maxRunning: number | null; readonly maxWaiting: number | null };
  /** Seals the credentials that namespaces store. */
  readonly box: SecretBox;
  readonly blobs: BlobStore;
  readonly submit: SubmitBuild;
  readonly views: BuildViews;
  readonly followLog: FollowLog;
  /** Null where the manager is not the token server of a registry. */
  readonly registryTokens: RegistryTokenServer | null;
  /** Null leaves the API open, which is only safe on the loopback. */
  readonly tokens: ApiTokens | null;
  /** Served at `/metrics`; the listener counts its requests there. */
  readonly metrics: ManagerMetrics;
  readonly logger: FastifyBaseLogger;
  /** As this manager signs the workers that it holds. */
  readonly managerName: string;
  /** What `/status` says of this manager: `running`, `stopping`. */
  readonly managerStatus: () => 'running' | 'stopping';
  /** Of the package, for the API's description. */
  readonly version: string;
  readonly limits?: Partial<HttpLimits>;
}

/** The limits that an operator, or a small machine, may want otherwise. Defaults: limits.ts. */
interface HttpLimits {
  /** bytes */
  readonly packageMax: number;
  readonly viewersMax: number;
  /** milliseconds */
  readonly logKeepAlive: number;
}
