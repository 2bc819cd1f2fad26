import type { Build, Problem } from '../contract/api.ts';

/** How the command line ends. docs/cli.md lists these. */
export const exitCodes = {
  /** The build completed, or what was asked was done. */
  ok: 0,
  /** The build failed. */
  buildFailed: 1,
  /** The command was not understood, or what it names cannot be sent. */
  usage: 2,
  /** The manager could not be reached, or refused. */
  manager: 3,
  /** The build was cancelled. */
  cancelled: 4,
  /** An error of our own (EX_SOFTWARE of sysexits.h). */
  internal: 70,
  /** Ctrl-C (128 + SIGINT), or SIGTERM: the build goes on. */
  interrupted: 130,
} as const;
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** Ends the program with words for its user. */
export class CliError extends Error {
  override readonly name = 'CliError';
  readonly exitCode: ExitCode;
  /** What to do about it. */
  readonly help: string;

  constructor(exitCode: ExitCode, message: string, help = '', options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
    this.help = help;
  }
}

/** The manager refused, in its own words. */
export class RefusedError extends CliError {
  readonly status: number;

  constructor(status: number, problem: Problem) {
    const details = (problem.details ?? []).map(({ path, message }) => `\n  ${path}: ${message}`).join('');
    super(exitCodes.manager, problem.message + details, problem.help);
    this.status = status;
  }
}

/** The exit code that says how a build ended. */
export function exitCodeOf({ state }: Pick<Build, 'state'>): ExitCode {
  switch (state) {
    case 'complete':
      return exitCodes.ok;
    case 'cancelled':
      return exitCodes.cancelled;
    default:
      return exitCodes.buildFailed;
  }
}

/** What a failure is to the user: an error of the file system is about what they named, any other one is ours. */
export function asCliError(error: unknown): CliError {
  if (error instanceof CliError) return error;
  if (error instanceof Error && 'syscall' in error && 'path' in error) {
    return new CliError(exitCodes.usage, error.message, 'Check that it is there and may be read.', {
      cause: error,
    });
  }
  const words = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return new CliError(exitCodes.internal, `unexpected: ${words}`);
}
