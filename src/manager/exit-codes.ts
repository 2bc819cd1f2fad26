/** How `quay-build-manager` ends: `sysexits.h` where it has a word for it. docs/operating.md says what to do about each. */
export const exitCodes = {
  /** Asked to stop, and stopped. */
  done: 0,
  /** `health`: the manager is not ready, or does not answer. */
  unhealthy: 1,
  /** A setting, or an option of the command line, is wrong. */
  wrongSetting: 64,
  /** The database, an address, or a file of keys, tokens, tickets or executors cannot be used; the message says what to do. */
  cannotStart: 69,
  /** An error of the manager itself. */
  internal: 70,
} as const;
