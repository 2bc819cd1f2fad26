import { readFileSync } from 'node:fs';
import { resolve as resolvePath } from 'node:path';
import { Command, CommanderError } from 'commander';
import { ConfigurationError } from '../contract/configuration.ts';
import { createProgramLog } from '../contract/program-log.ts';
import { StoreUnusable } from '../store/index.ts';
import { backupCommand, restoreCommand } from './commands/backup.ts';
import { addKeysCommands } from './commands/keys-command-line.ts';
import { addTicketCommand, addTokenCommand } from './commands/secrets-files.ts';
import { configOption, refuse, withSettings } from './commands/with-settings.ts';
import { managerConfiguration } from './config.ts';
import type { ManagerSettings } from './settings.ts';
import { ExecutorError } from './executors/executor.ts';
import { ExecutorsError } from './executors/executors-file.ts';
import { exitCodes } from './exit-codes.ts';
import { startManager } from './manager.ts';
import { ListenerTlsError } from './realms/listener-tls.ts';
import { SealError } from './secrets/secret-box.ts';
import { SecretKeyError } from './secrets/secret-key.ts';
import { SecretsFileError } from './secrets/secrets-file.ts';

/** `quay-build-manager`: reads its settings, starts the manager, and answers the system's signals. */

const packageFile = new URL('../../package.json', import.meta.url);
const { version } = JSON.parse(readFileSync(packageFile, 'utf8')) as { version: string };

await commandLine()
  .parseAsync()
  .catch((error: unknown) => {
    if (!(error instanceof CommanderError)) throw error;
    process.exitCode = error.exitCode === 0 ? exitCodes.done : exitCodes.wrongSetting;
  });

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
  quay-build-manager backup /backups/today                  keep a copy of everything

Every setting is described in docs/reference/manager.md.`,
    );
  program
    .command('serve', { isDefault: true })
    .description('start the manager (what happens without a command)')
    .option(...configOption)
    .action(async ({ config }: { config?: string }) => {
      process.exitCode = await withSettings(config, serve);
    });
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
      process.exitCode = await withSettings(config, (settings) => backupCommand(file, settings, version));
    });
  program
    .command('restore')
    .description('put a backup into an empty database and DATA_DIR, before any manager is started there')
    .argument('<file>', 'what backup wrote, or - for stdin')
    .option(...configOption)
    .action(async (file: string, { config }: { config?: string }) => {
      process.exitCode = await withSettings(config, (settings) => restoreCommand(file, settings));
    });
  addKeysCommands(program);
  return program;
}

/** Runs the manager until SIGTERM or SIGINT, and to the end of what it has under way or a second one; answers with the exit code. */
async function serve(settings: ManagerSettings): Promise<number> {
  const logger = await createProgramLog({
    program: 'quay-build-manager',
    level: settings.LOG_LEVEL,
    format: settings.LOG_FORMAT,
  });
  try {
    const manager = await startManager(settings, version, logger);
    // Before it says that it is ready: whoever waits for that may end it at once.
    const { first, second } = listenToSignals();
    logger.info({ wamp: manager.wamp, http: manager.http }, 'manager is ready');
    logger.info({ signal: await first }, 'manager stops');
    second.addEventListener('abort', () =>
      logger.info({ signal: second.reason as unknown }, 'manager stops at once'),
    );
    await manager.stop(second);
    return exitCodes.done;
  } catch (error) {
    if (error instanceof ConfigurationError) return refuse(error.problems, exitCodes.wrongSetting);
    const reason = describeStartError(error, settings.DATA_DIR);
    if (reason !== null) return refuse([reason], exitCodes.cannotStart);
    logger.fatal({ err: error }, 'the manager met an error that it does not know');
    return exitCodes.internal;
  }
}

/** SIGTERM or SIGINT, and again for those who cannot wait: `second` aborts with its name. */
function listenToSignals(): { readonly first: Promise<NodeJS.Signals>; readonly second: AbortSignal } {
  const { promise, resolve } = Promise.withResolvers<NodeJS.Signals>();
  const again = new AbortController();
  let isAsked = false;
  const onSignal = (signal: NodeJS.Signals): void => {
    if (isAsked) again.abort(signal);
    isAsked = true;
    resolve(signal);
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  return { first: promise, second: again.signal };
}

/** What an operator can mend, in words that say how; null for the rest. */
function describeStartError(error: unknown, dataDirectory: string): string | null {
  if (
    error instanceof StoreUnusable ||
    error instanceof SecretKeyError ||
    error instanceof SealError ||
    error instanceof ExecutorsError ||
    error instanceof ExecutorError ||
    error instanceof SecretsFileError ||
    error instanceof ListenerTlsError
  ) {
    return error.message;
  }
  if (!(error instanceof Error) || !('syscall' in error)) return null;
  if (error.syscall === 'listen') {
    return `${error.message}: choose other addresses with LISTEN_WAMP and LISTEN_HTTP, or end what listens there`;
  }
  if (!('path' in error) || typeof error.path !== 'string') return null;
  if (!error.path.startsWith(resolvePath(dataDirectory))) return error.message;
  const { rule, example } = managerConfiguration.settings.DATA_DIR;
  return `DATA_DIR: must be ${rule}, for example ${example}; it is ${JSON.stringify(dataDirectory)} (${error.message})`;
}
