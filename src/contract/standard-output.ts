/** What a program does when its standard output comes to no one. */
interface OutputEnds {
  /** Nobody reads it any further, as `head` does. What is printed after that is lost. */
  readonly onClosed: () => void;
  /** With what the program exits when it cannot be written, as on a full disk: it has said so on standard error. */
  readonly failed: number;
}

/**
 * Without this, a program whose standard output is closed, or cannot be written, ends with a stack trace. Standard error is only
 * kept from doing that: there is nobody left to be told.
 */
export function guardOutput({ onClosed, failed }: OutputEnds): void {
  process.stderr.on('error', () => undefined);
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') {
      onClosed();
      return;
    }
    // Whoever else listens writes more than words, as a backup, and ends in order.
    if (process.stdout.listenerCount('error') > 1) return;
    process.stderr.write(
      `The output cannot be written: ${error.message}.\nCheck what it is redirected to.\n`,
    );
    process.exit(failed);
  });
}
