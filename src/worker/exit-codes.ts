/** How `quay-builder` ends: `sysexits.h` where it has a word for it. docs/worker.md says what to do about each. */
export const exitCodes = {
  /** Asked to leave, and left; or, hosted, its build was answered, whatever came of it. */
  done: 0,
  /** A setting, or an option of the command line, is wrong. */
  wrongSetting: 64,
  /** `doctor`: something that builds need is missing. `health`: no worker is ready here. */
  unwell: 1,
  /** Hosted: the manager could not be reached, or did not let it in, five times. */
  unreachable: 69,
  /** An error of the worker itself. */
  internal: 70,
  /** Hosted: the engine did not answer, or a disk was full, five times. */
  unequipped: 71,
  /** The work directory cannot be made or is not private. */
  workDirectory: 73,
  /** Hosted: the connection was lost before the build was answered. */
  lost: 74,
  /** Asked to leave, and the running build was stopped before its end. */
  interrupted: 75,
  /** Hosted: the manager refused the realm or the token. */
  rejected: 77,
} as const;
