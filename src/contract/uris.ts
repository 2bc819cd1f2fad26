/** The procedures, topics and realm that a worker and a manager share (worker contract 0.3, "Procedures and topics"). */

/** The contract's version, sent as `version` with `ready`. */
export const CONTRACT_VERSION = '0.3';

/** The realm in which an enterprise worker asks for a realm of its own. */
export const REGISTRATION_REALM = 'registration';

/** What the manager offers. */
export const managerProcedures = {
  /** Realm `registration` only: answers with a fresh realm. */
  register: 'io.quay.buildworker.register',
  ping: 'io.quay.buildworker.ping',
  ready: 'io.quay.buildworker.ready',
  determineCacheTag: 'io.quay.buildworker.determinecachetag',
  /** One phase change or one log line; answers `false` when the build was cancelled. */
  logMessage: 'io.quay.builder.logmessagesynchronously',
  /** Extension `log-batch`: many log records in one call. */
  logBatch: 'io.quay.builder.logbatch',
  /** Extension `resume`: how a build ended, answered when it is stored. */
  result: 'io.quay.builder.result',
  /** Extension `resume`: a worker that starts anew says that it will not resume a try; answers whether that ended it. */
  forsake: 'io.quay.builder.forsake',
} as const;

/** What a worker offers. */
export const workerProcedures = {
  build: 'io.quay.builder.build',
} as const;

export const topics = {
  /** Published by the worker every second, for as long as it lives. */
  heartbeat: 'io.quay.builder.heartbeat',
  /** Extension `cancel`: published by the manager in the worker's realm; kwargs `{reason}`. */
  cancel: 'io.quay.builder.cancel',
} as const;
