import { Command, CommanderError } from 'commander';
import { guardOutput } from '../contract/standard-output.ts';
import { refuseUnknownCommand } from '../contract/unknown-command.ts';
import { version } from '../contract/version.ts';
import { addHealthCommand } from './commands/health.ts';
import { addKeysCommands } from './commands/keys-command-line.ts';
import { addTicketCommand, addTokenCommand } from './commands/secrets-files.ts';
import { configOption, withSettings } from './commands/with-settings.ts';
import { exitCodes } from './exit-codes.ts';

/**
 * `quay-build-manager`: its command line. The manager itself, and what needs its store, are loaded by the commands that need them: a health
 * check every few seconds would else cost as much as a start.
 */

// The work goes on for who reads no further, and its exit code is told.
guardOutput({ onClosed: () => undefined, failed: exitCodes.internal });

await run(process.argv.slice(2)).catch((error: unknown) => {
  if (!(error instanceof CommanderError)) throw error;
  process.exitCode = error.exitCode === 0 ? exitCodes.done : exitCodes.wrongSetting;
});

async function run(args: readonly string[]): Promise<void> {
  const program = commandLine();
  refuseUnknownCommand(program, args, 'quay-build-manager --help lists its commands');
  await program.parseAsync(args, { from: 'user' });
}

function commandLine(): Command {
  const program = new Command('quay-build-manager')
    .description('Gives builds to workers: queue, logs, registry credentials, HTTP API.')
    .version(version)
    .exitOverride()
    .addHelpText(
      'after',
      `
Settings come from the environment. All have defaults: without any, workers connect to ws://127.0.0.1:8787,
the API is at http://127.0.0.1:8686, and everything is kept in ./quay-build-manager-data.

  quay-build-manager                                        start
  quay-build-manager token ci --file api-tokens.json        let somebody use the API
  quay-build-manager ticket builder-7 --file tickets.json   let a worker register
  quay-build-manager health                                 ask the one that runs with the same settings
  quay-build-manager backup /backups/today                  keep a copy of everything

Every setting is described in docs/reference/manager.md.`,
    );
  program
    .command('serve', { isDefault: true })
    .description('start the manager (what happens without a command)')
    .option(...configOption)
    .action(async ({ config }: { config?: string }) => {
      const { serve } = await import('./serve.ts');
      process.exitCode = await withSettings(config, (settings) => serve(settings, version));
    });
  addHealthCommand(program);
  addTokenCommand(program);
  addTicketCommand(program);
  program
    .command('backup')
    .description(
      'write everything that the manager keeps, as it is now, to one file; managers may be running',
    )
    .argument('<file>', 'a new file, or - for stdout')
    .option(...configOption)
    .action(async (file: string, { config }: { config?: string }) => {
      const { backupCommand } = await import('./commands/backup.ts');
      process.exitCode = await withSettings(config, (settings) => backupCommand(file, settings, version));
    });
  program
    .command('restore')
    .description('put a backup into an empty database and DATA_DIR, before any manager is started there')
    .argument('<file>', 'what backup wrote, or - for stdin')
    .option(...configOption)
    .action(async (file: string, { config }: { config?: string }) => {
      const { restoreCommand } = await import('./commands/backup.ts');
      process.exitCode = await withSettings(config, (settings) => restoreCommand(file, settings));
    });
  addKeysCommands(program);
  return program;
}
