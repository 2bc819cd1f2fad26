import type { Command } from 'commander';
import type { ManagerSettings } from './config.ts';
import { activateKey, listKeys, prepareKey, resealSecrets, retireKey } from './keys-command.ts';

/** Reads the settings and does some work with them; answers with the exit code. */
type WithSettings = (
  config: string | undefined,
  work: (settings: ManagerSettings) => Promise<number>,
) => Promise<number>;

interface KeysOptions {
  readonly config?: string;
  readonly force?: boolean;
}

/** Adds `quay-build-manager keys` to the program. */
export function addKeysCommands(program: Command, withSettings: WithSettings): void {
  const print = (text: string): void => void process.stdout.write(text);
  const config = ['--config <file>', 'a JSON file of settings; CONFIG_FILE does the same'] as const;
  const keys = program
    .command('keys')
    .description("change the managers' own keys while they run, with the settings of a manager");
  keys
    .command('list')
    .description('show the keys that sign registry tokens, and those that seal secrets')
    .option(...config)
    .action(async (options: KeysOptions) => {
      process.exitCode = await withSettings(options.config, (settings) => listKeys(settings, print));
    });
  keys
    .command('prepare')
    .description('make another key known to registries, to sign their tokens later')
    .option(...config)
    .action(async (options: KeysOptions) => {
      process.exitCode = await withSettings(options.config, (settings) => prepareKey(settings, print));
    });
  keys
    .command('activate')
    .description('have a key sign registry tokens from now on, once the registry trusts it')
    .argument('<name>', 'the key, as prepare and list name it')
    .option('--force', 'without asking the registry')
    .option(...config)
    .action(async (name: string, options: KeysOptions) => {
      process.exitCode = await withSettings(options.config, (settings) =>
        activateKey(name, options, settings, print),
      );
    });
  keys
    .command('retire')
    .description('remove a key that signs no more, and its certificate')
    .argument('<name>', 'the key, as list names it')
    .option('--force', 'also while its tokens may be in use')
    .option(...config)
    .action(async (name: string, options: KeysOptions) => {
      process.exitCode = await withSettings(options.config, (settings) =>
        retireKey(name, options, settings, print),
      );
    });
  keys
    .command('reseal')
    .description('seal everything with the first key of the key file, so that the keys below it can go')
    .option(...config)
    .action(async (options: KeysOptions) => {
      process.exitCode = await withSettings(options.config, (settings) => resealSecrets(settings, print));
    });
}
