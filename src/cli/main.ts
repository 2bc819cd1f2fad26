import { CommanderError } from 'commander';
import { guardOutput } from '../contract/standard-output.ts';
import { asCliError, exitCodes, type ExitCode } from './failure.ts';
import { createProgram } from './program.ts';
import { createSession, type InSession } from './session.ts';
import { writeTo } from './view/streams.ts';

/** `quay-build`: the command line for people and scripts. docs/cli.md */

// There is nothing more to do for who reads no further.
guardOutput({ onClosed: () => process.exit(exitCodes.ok), failed: exitCodes.internal });
void run(process.argv).then((exitCode) => {
  process.exitCode = exitCode;
});

async function run(argv: readonly string[]): Promise<ExitCode> {
  let exitCode: ExitCode = exitCodes.ok;
  /** Makes an action that has its session and whose failure is told. */
  const inSession: InSession =
    (command) =>
    async (...args) => {
      // Until an end is known: a program that has nothing left to wait for ends, and that was no success. Not before, since
      // commander takes it for the exit code of `help`.
      process.exitCode = exitCodes.internal;
      exitCode = await command(createSession(process), ...args);
    };
  try {
    await createProgram(inSession).parseAsync(argv);
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
    const { message, help, exitCode: code } = asCliError(error);
    writeTo(process.stderr, process.env)(`${message}\n${help === '' ? '' : `${help}\n`}`);
    return code;
  }
}
