import type { Command } from 'commander';
import type { ManagerSettings } from '../settings.ts';
import type * as keysCommands from './keys.ts';
import { configOption, withSettings } from './with-settings.ts';

interface KeysOptions {
  readonly config?: string;
  readonly force?: boolean;
}

/** Adds `quay-build-manager keys` to the program. */
export function addKeysCommands(program: Command): void {
  const print = (text: string): void => void process.stdout.write(text);
  const run = async (
    { config }: KeysOptions,
    work: (commands: typeof keysCommands, settings: ManagerSettings) => Promise<number>,
  ): Promise<void> => {
    const commands = await import('./keys.ts');
    process.exitCode = await withSettings(config, (settings) => work(commands, settings));
  };
  const keys = program
    .command('keys')
    .description("change the managers' own keys while they run, with the settings of a manager");
  keys
    .command('list')
    .description('show the keys that sign registry tokens, and those that seal secrets')
    .option(...configOption)
    .action((options: KeysOptions) => run(options, ({ listKeys }, settings) => listKeys(settings, print)));
  keys
    .command('prepare')
    .description('make another key known to registries, to sign their tokens later')
    .option(...configOption)
    .action((options: KeysOptions) =>
      run(options, ({ prepareKey }, settings) => prepareKey(settings, print)),
    );
  keys
    .command('activate')
    .description('have a key sign registry tokens from now on, once the registry trusts it')
    .argument('<name>', 'the key, as prepare and list name it')
    .option('--force', 'without asking the registry')
    .option(...configOption)
    .action((name: string, options: KeysOptions) =>
      run(options, ({ activateKey }, settings) => activateKey(name, options, settings, print)),
    );
  keys
    .command('retire')
    .description('remove a key that signs no more, and its certificate')
    .argument('<name>', 'the key, as list names it')
    .option('--force', 'also while its tokens may be in use')
    .option(...configOption)
    .action((name: string, options: KeysOptions) =>
      run(options, ({ retireKey }, settings) => retireKey(name, options, settings, print)),
    );
  keys
    .command('reseal')
    .description('seal everything with the first key of the key file, so that the keys below it can go')
    .option(...configOption)
    .action((options: KeysOptions) =>
      run(options, ({ resealSecrets }, settings) => resealSecrets(settings, print)),
    );
}
