import type { Logger } from 'pino';
import { BuildError } from '../contract/build-errors.ts';
import type { Builder } from './builder.ts';

/**
 * SIGTERM: takes no more work, and leaves when the running builds have ended or their time is over. SIGINT, or a second SIGTERM:
 * stops them and leaves.
 */
export function leaveOnSignals(
  builders: readonly Builder[],
  timeoutSeconds: number,
  logger: Logger,
): { readonly leaving: AbortSignal; readonly interrupted: () => boolean } {
  const controller = new AbortController();
  let interrupted = false;
  const isBusy = (): boolean => builders.some(({ busy }) => busy);
  const interrupt = (): void => {
    interrupted ||= isBusy();
    controller.abort();
    for (const builder of builders) {
      void builder.stop(new BuildError('internalerror', 'The worker was stopped by its operator.'));
    }
  };
  const onSignal = (signal: NodeJS.Signals): void => {
    const now = signal === 'SIGINT' || controller.signal.aborted;
    logger.info({ signal, busy: isBusy() }, now ? 'leaving now' : 'leaving when the builds are done');
    if (now) {
      interrupt();
      return;
    }
    controller.abort();
    if (isBusy()) setTimeout(interrupt, timeoutSeconds * 1000).unref();
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  return { leaving: controller.signal, interrupted: () => interrupted };
}
