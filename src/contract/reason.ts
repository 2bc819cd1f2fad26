/** What went wrong, in the words of an error, for a log or a message. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
