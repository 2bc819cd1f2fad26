import { resolve as resolvePath } from 'node:path';
import { ConfigurationError } from '../contract/configuration.ts';
import { createProgramLog } from '../contract/program-log.ts';
import { StoreUnusable } from '../store/index.ts';
import { refuse } from './commands/with-settings.ts';
import { managerConfiguration } from './config.ts';
import { ExecutorError } from './executors/executor.ts';
import { ExecutorsError } from './executors/executors-file.ts';
import { exitCodes } from './exit-codes.ts';
import { startManager } from './manager.ts';
import { ListenerTlsError } from './realms/listener-tls.ts';
import { SealError } from './secrets/secret-box.ts';
import { SecretKeyError } from './secrets/secret-key.ts';
import { SecretsFileError } from './secrets/secrets-file.ts';
import type { ManagerSettings } from './settings.ts';

/**
 * Runs the manager until SIGTERM or SIGINT, and to the end of what it has under way or a second one; answers with the exit code. One that
 * comes while it starts counts when it has started; a second one ends it there.
 */
export async function serve(settings: ManagerSettings, version: string): Promise<number> {
  const logger = await createProgramLog({
    program: 'quay-build-manager',
    level: settings.LOG_LEVEL,
    format: settings.LOG_FORMAT,
  });
  try {
    // From the beginning: ended in the middle of its start, it would leave a PostgreSQL that nobody watches.
    const { first, second } = listenToSignals();
    const endUnstarted = (): void => endBySignal(second.reason as NodeJS.Signals);
    second.addEventListener('abort', endUnstarted);
    const manager = await startManager(settings, version, logger);
    second.removeEventListener('abort', endUnstarted);
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
    logger.fatal({ err: error }, 'the manager met an unexpected error');
    return exitCodes.internal;
  }
}

/** Ends this process as the signal does where nobody listens to it. */
function endBySignal(signal: NodeJS.Signals): void {
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
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
