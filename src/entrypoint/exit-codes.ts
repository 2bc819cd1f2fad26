/** How an image's entrypoint ends where it starts no program: `sysexits.h`. docs/worker.md says what to do. */
export const exitCodes = {
  /** The container was started in a way in which the program cannot run. */
  configuration: 78,
} as const;
