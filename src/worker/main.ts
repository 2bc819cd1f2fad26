import { randomUUID } from 'node:crypto';
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import type { Logger } from 'pino';
import { ConfigurationError, loadConfiguration } from '../contract/configuration.ts';
import { extensionNames } from '../contract/extensions.ts';
import { passwordsOf, withProxyNames } from '../contract/network/proxies.ts';
import { proxiesOf } from '../contract/network/settings.ts';
import { createProgramLog } from '../contract/program-log.ts';
import { reasonOf } from '../contract/reason.ts';
import { isRegistryHost } from '../contract/references.ts';
import { guardOutput } from '../contract/standard-output.ts';
import { refuseUnknownCommand } from '../contract/unknown-command.ts';
import { version } from '../contract/version.ts';
import { clearLeftovers, createBuilder } from './builder.ts';
import { systemClock } from './clock.ts';
import {
  endpointOf,
  ticketOf,
  tlsPathsOf,
  withEngineAddress,
  workDirOf,
  workerConfiguration,
  workerIdOf,
  type WorkerSettings,
} from './config.ts';
import { createDisk } from './disk/disk.ts';
import { adviceFor, isInContainer } from './doctor/advice.ts';
import type { Engine } from './engine/engine.ts';
import { createEngine, createEngineStorage } from './engine/index.ts';
import { exitCodes } from './exit-codes.ts';
import { keepHealth, readHealth } from './health.ts';
import { leaveOnSignals } from './leaving.ts';
import { createForsakenTries } from './link/enlisting.ts';
import { enterpriseRetryDelay, hostedRetryDelay, resumeRetryDelay } from './link/reconnecting.ts';
import { readTlsOptions } from './link/tls.ts';
import { createSecretKeeper, type SecretKeeper } from './secrets.ts';
import { runSlot, type SlotEnd } from './slot.ts';
import type { SourceFetcherOptions } from './source/index.ts';
import type { FetchSource } from './source/source.ts';
import { openWorkDirectory, type WorkDirectory } from './work-directory.ts';

/** `quay-builder`: reads its settings, puts the worker together, and answers the system's signals. */

// The exit code is still to be told to who reads no further, as that of the doctor; and a worker works.
guardOutput({ onClosed: () => undefined, failed: exitCodes.internal });
// Until an end is known: a program that has nothing left to wait for ends, and that was no success.
process.exitCode = exitCodes.internal;
void main(process.argv.slice(2)).then((exitCode) => {
  process.exitCode = exitCode;
});

async function main(args: readonly string[]): Promise<number> {
  let command: CommandLine;
  let settings: WorkerSettings;
  try {
    command = readCommandLine(args);
    const file = command.config ?? process.env['CONFIG_FILE'];
    settings = withEngineAddress(
      loadConfiguration(workerConfiguration, {
        environment: withProxyNames(process.env),
        file,
      }),
    );
    readTlsOptions(tlsPathsOf(settings));
    requireReadable('GIT_KNOWN_HOSTS_FILE', settings.GIT_KNOWN_HOSTS_FILE);
    requireReadable('GIT_SSL_CAINFO', settings.GIT_SSL_CAINFO);
  } catch (error) {
    if (error instanceof CommanderError)
      return error.exitCode === 0 ? exitCodes.done : exitCodes.wrongSetting;
    if (!(error instanceof ConfigurationError)) throw error;
    process.stderr.write(
      `quay-builder cannot start:\n${error.problems.map((each) => `  ${each}\n`).join('')}`,
    );
    return exitCodes.wrongSetting;
  }
  if (command.command === 'doctor') return await doctor(settings, command.registry);
  if (command.command === 'health') return await health(settings, command.alive);
  const secrets = createSecretKeeper();
  secrets.keep([settings.TOKEN, settings.REGISTRATION_TICKET].filter((each) => each !== null));
  secrets.keep(passwordsOf(proxiesOf(settings)));
  const logger = await createProgramLog({
    program: 'quay-builder',
    level: settings.LOG_LEVEL,
    format: settings.LOG_FORMAT,
    mask: (line) => secrets.mask(line),
  });
  try {
    return await work(settings, secrets, logger);
  } catch (error) {
    logger.fatal({ err: error }, 'the worker met an unexpected error');
    return exitCodes.internal;
  }
}

interface CommandLine {
  /** A settings file. */
  readonly config: string | undefined;
  readonly command: 'work' | 'doctor' | 'health';
  /** `health`: whether it is enough that the worker lives. */
  readonly alive: boolean;
  /** A registry for the doctor to look at. */
  readonly registry: string | undefined;
}

function readCommandLine(args: readonly string[]): CommandLine {
  let asked: Omit<CommandLine, 'config'> = { command: 'work', alive: false, registry: undefined };
  const program = new Command('quay-builder')
    .description('Builds images for a build manager, on a Docker or Podman engine.')
    .version(version)
    .option('--config <file>', 'a JSON file of settings; CONFIG_FILE does the same')
    .addHelpText(
      'after',
      `
Settings come from the environment. The least is where the manager is:

  SERVER=wss://builds.example.com quay-builder                          enterprise: builds for ever
  SERVER=wss://builds.example.com REALM=… TOKEN=… quay-builder          hosted: one build, then it exits
  SERVER=wss://builds.example.com quay-builder doctor                   is all there that it needs?
  SERVER=wss://builds.example.com quay-builder health                   is the worker here ready, or building?

Every setting is described in docs/reference/worker.md; what the exit codes mean, in docs/worker.md.`,
    )
    .exitOverride();
  program
    .command('work', { isDefault: true })
    .description('work (what happens without a command)')
    .action(() => undefined);
  program
    .command('doctor')
    .description('look at engine, disk, manager and programs with these settings, and say what to do')
    .option('--registry <host>', 'a registry to look at too', readRegistry)
    .action(({ registry }: { registry?: string }) => {
      asked = { ...asked, command: 'doctor', registry };
    });
  program
    .command('health')
    .description(
      'ask the worker of this machine that has the same WORK_DIR and WORKER_ID how it is: exits with 0 or 1, and says why',
    )
    .option('--alive', 'whether it lives, also where it waits for its manager or its engine')
    .action(({ alive = false }: { alive?: boolean }) => {
      asked = { ...asked, command: 'health', alive };
    });
  const shell = '; for a shell in the image: docker run --interactive --tty --entrypoint sh IMAGE';
  const help = `quay-builder --help lists its commands${isInContainer(process.env) ? shell : ''}`;
  refuseUnknownCommand(program, args, help);
  program.parse(args, { from: 'user' });
  return { config: program.opts<{ config?: string }>().config, ...asked };
}

function readRegistry(text: string): string {
  if (isRegistryHost(text)) return text;
  throw new InvalidArgumentError('It must be host or host:port, as registry.example:5000.');
}

/** Prints each finding as it is made; the exit code says whether builds can run. */
async function doctor(settings: WorkerSettings, registry: string | undefined): Promise<number> {
  const signs = { good: 'ok  ', warning: 'warn', bad: 'FAIL' };
  let exitCode: number = exitCodes.done;
  const engine = createEngine(engineOptions(settings));
  const storage = createEngineStorage(engineOptions(settings));
  const { examine } = await import('./doctor/doctor.ts');
  const findings = examine(settings, engine, storage, registry, adviceFor(process.env));
  for await (const { level, what, advice } of findings) {
    process.stdout.write(`${signs[level]}  ${what}\n${advice === '' ? '' : `      ${advice}\n`}`);
    if (level === 'bad') exitCode = exitCodes.unwell;
  }
  return exitCode;
}

/** Prints how the worker is; the exit code says whether that is well. */
async function health(settings: WorkerSettings, alive: boolean): Promise<number> {
  const { isAlive, isReady, words } = await readHealth(join(workDirOf(settings), workerIdOf(settings)));
  process.stdout.write(`${words}\n`);
  return (alive ? isAlive : isReady) ? exitCodes.done : exitCodes.unwell;
}

function engineOptions(settings: WorkerSettings): Parameters<typeof createEngine>[0] {
  return {
    dockerHost: settings.DOCKER_HOST,
    ...(settings.DOCKER_CERT_PATH === null ? {} : { certPath: settings.DOCKER_CERT_PATH }),
    builder: settings.BUILDER,
    frontends: settings.FRONTENDS,
  };
}

async function work(settings: WorkerSettings, secrets: SecretKeeper, logger: Logger): Promise<number> {
  const id = workerIdOf(settings);
  let workDirectory: WorkDirectory;
  try {
    workDirectory = await openWorkDirectory(workDirOf(settings), id);
  } catch (error) {
    logger.fatal({ reason: reasonOf(error) }, 'no work directory (WORK_DIR)');
    return exitCodes.workDirectory;
  }
  let engine: Engine;
  try {
    engine = tellEngine(createEngine(engineOptions(settings)), logger);
  } catch (error) {
    logger.fatal({ reason: reasonOf(error) }, 'no engine (DOCKER_HOST, DOCKER_CERT_PATH)');
    return exitCodes.wrongSetting;
  }
  const forsaken = createForsakenTries();
  await clearLeftovers({ engine, workDirectory, forsaken, clock: systemClock, logger });
  const hosted = settings.REALM !== null;
  const disk = createDisk({
    engine,
    storage: createEngineStorage(engineOptions(settings)),
    dockerHost: settings.DOCKER_HOST,
    directory: workDirectory.path,
    // A hosted worker's engine goes with it.
    budget: hosted ? 'none' : settings.DISK_BUDGET,
    engineIsOurs: settings.ENGINE_IS_OURS === 'yes',
    clock: systemClock,
    logger,
  });
  if (!hosted) void disk.sweep();
  const builderOptions = {
    engine,
    disk,
    fetchSource: fetchSourceWith({
      privateAddresses: settings.PRIVATE_ADDRESSES,
      proxies: proxiesOf(settings),
      gitAuthorities: settings.GIT_SSL_CAINFO,
      knownHosts:
        settings.GIT_KNOWN_HOSTS_FILE === null
          ? { file: workDirectory.knownHosts, pinned: false }
          : { file: settings.GIT_KNOWN_HOSTS_FILE, pinned: true },
    }),
    workDirectory,
    ociLabels: settings.OCI_LABELS === 'on',
    logSpoolMaxBytes: settings.LOG_SPOOL_MAX * 1024 ** 2,
    entitlements: new Set(settings.ENTITLEMENTS),
    pushTo: settings.PUSH_TO,
    secrets,
    clock: systemClock,
    newId: randomUUID,
  };
  const slots = Array.from({ length: settings.CONCURRENCY }, (_, slot) => {
    const slotLogger = settings.CONCURRENCY === 1 ? logger : logger.child({ slot });
    return { slot, logger: slotLogger, builder: createBuilder({ ...builderOptions, logger: slotLogger }) };
  });
  const endpoint = endpointOf(settings);
  logger.info(
    { worker: id, endpoint: endpoint.origin + endpoint.pathname, engine: settings.DOCKER_HOST, hosted },
    'worker starts',
  );
  const builders = slots.map(({ builder }) => builder);
  const keeper = keepHealth({
    directory: workDirectory.path,
    builders,
    mask: (text) => secrets.mask(text),
    clock: systemClock,
    logger,
  });
  const { leaving, interrupted } = leaveOnSignals(builders, settings.SHUTDOWN_TIMEOUT, logger);
  const ends = await Promise.all(
    slots.map(({ slot, builder, logger: slotLogger }) =>
      runSlot(
        {
          endpoint,
          tls: tlsPathsOf(settings),
          proxies: proxiesOf(settings),
          realm: settings.REALM,
          token: hosted ? (settings.TOKEN ?? '') : '',
          ticket: ticketOf(settings),
          offer: {
            extensions: [...extensionNames],
            worker: { id, slot, slots: slots.length, labels: settings.LABELS, kinds: ['image'] },
          },
          forsaken,
          builder,
          resumeDelay: resumeRetryDelay(Math.random),
          retryDelay: hosted ? hostedRetryDelay : enterpriseRetryDelay(Math.random),
          onStanding: (reason) => keeper.tell(slot, reason),
          clock: systemClock,
          logger: slotLogger,
        },
        leaving,
      ),
    ),
  ).finally(() => keeper.close());
  // Enterprise slots end by leaving alone, and a hosted worker has one.
  const end = ends.find((each) => each !== 'left') ?? 'left';
  await disk.close();
  logger.info({ end }, 'worker ends');
  return interrupted() ? exitCodes.interrupted : exitCodeOf(end);
}

/** The source fetcher is loaded for the first build: a worker is ready sooner, and smaller. */
function fetchSourceWith(options: SourceFetcherOptions): FetchSource {
  let fetcher: Promise<FetchSource> | null = null;
  const load = async (): Promise<FetchSource> =>
    (await import('./source/index.ts')).createSourceFetcher(options);
  return async (build, call) => (await (fetcher ??= load()))(build, call);
}

/** Says in the log what the engine is: when it first answers, and when it has become another. */
function tellEngine(engine: Engine, logger: Logger): Engine {
  let told = '';
  return {
    ...engine,
    describe: async (signal) => {
      const description = await engine.describe(signal);
      const text = JSON.stringify(description);
      if (text !== told) logger.info({ engine: description }, 'engine found');
      told = text;
      return description;
    },
  };
}

/** Throws a ConfigurationError when the file that a setting names cannot be read. */
function requireReadable(name: string, path: string | null): void {
  if (path === null) return;
  try {
    accessSync(path, constants.R_OK);
  } catch (error) {
    throw new ConfigurationError([`${name}: must be the path of a readable file: ${reasonOf(error)}`]);
  }
}

function exitCodeOf(end: SlotEnd): number {
  switch (end) {
    case 'left':
      return exitCodes.done;
    case 'unequipped':
      return exitCodes.unequipped;
    case 'unreachable':
      return exitCodes.unreachable;
    case 'rejected':
      return exitCodes.rejected;
    case 'lost':
      return exitCodes.lost;
    case 'interrupted':
      return exitCodes.interrupted;
  }
}
