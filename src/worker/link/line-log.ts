import { BuildError } from '../../contract/build-errors.ts';
import { managerProcedures } from '../../contract/uris.ts';
import { type BuildLog, type BuildLogOptions, messageJson, phaseJson } from './build-log.ts';

/**
 * The way of every manager: one call of `logmessagesynchronously` for each message (contract 0.3, "A build, as phases"), and one
 * call at a time, as the deployed worker does. A deployed manager handles calls side by side: two of them under way could
 * change places in its log.
 */
export function createLineLog({ session, onCancelled, onLoss }: BuildLogOptions): BuildLog {
  let cancelled = false;
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = (work: () => Promise<void>): Promise<void> => {
    const done = last.then(work);
    last = done.catch(() => undefined);
    return done;
  };
  const call = (phase: string, jsonData: string): Promise<unknown> =>
    session.call(managerProcedures.logMessage, { phase, json_data: jsonData });

  return {
    phase: (phase, data) =>
      inTurn(async () => {
        const answer = await call(phase, phaseJson(data)).catch((error: unknown) => {
          throw new BuildError('errorduringphasetransition', `The phase ${phase} could not be reported.`, {
            cause: error,
          });
        });
        if (answer === false) throw new BuildError('clientrejectedtransition', 'The build was cancelled.');
      }),
    message: (phase, message) =>
      inTurn(async () => {
        if (cancelled) return;
        try {
          if ((await call(phase, messageJson(message))) !== false) return;
          cancelled = true;
          onCancelled();
        } catch (error) {
          onLoss(1, error);
        }
      }),
    flush: () => inTurn(() => Promise.resolve()),
  };
}
