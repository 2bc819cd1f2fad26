import type { Command } from 'commander';

/**
 * Refuses a command that a program does not have. To commander, what is misspelt is an argument, or has an option, too many of the
 * command that is run when none is named.
 *
 * @param args what the program was started with
 * @param help what to do about it
 * @throws CommanderError where the program overrides its exit.
 */
export function refuseUnknownCommand(program: Command, args: readonly string[], help: string): void {
  const [name] = program.parseOptions([...args]).operands;
  if (name === undefined || name === 'help' || program.commands.some((each) => each.name() === name)) return;
  program.error(`error: unknown command '${name}'\n${help}`);
}
