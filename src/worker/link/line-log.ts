import type { EngineMessage } from '../../contract/log-messages.ts';
import { managerProcedures } from '../../contract/uris.ts';
import {
  type BuildLog,
  type BuildLogOptions,
  cancelled,
  messageJson,
  phaseJson,
  phaseNotReported,
} from './build-log.ts';

/**
 * The way of every manager: one call of `logmessagesynchronously` for each line (contract 0.3, "A build, as phases"), and one
 * call at a time, as the deployed worker does: nothing says that a deployed manager keeps the order of two that are under way
 * together.
 */
export function createLineLog({
  link,
  onRefused,
  onLoss,
}: Omit<BuildLogOptions, 'clock' | 'spool'>): BuildLog {
  let isCancelled = false;
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = (work: () => Promise<void>): Promise<void> => {
    const done = last.then(work);
    last = done.catch(() => undefined);
    return done;
  };
  const call = (phase: string, jsonData: string): Promise<unknown> =>
    link.call(managerProcedures.logMessage, { phase, json_data: jsonData });

  return {
    phase: (phase, data) =>
      inTurn(async () => {
        const answer = await call(phase, phaseJson(data)).catch((error: unknown) => {
          throw phaseNotReported(phase, error);
        });
        if (answer === false) throw cancelled();
      }),
    message: async (phase, message) => {
      const say = async (line: EngineMessage): Promise<void> => {
        if (isCancelled) return;
        try {
          if ((await call(phase, messageJson(line))) !== false) return;
          isCancelled = true;
          onRefused(cancelled());
        } catch (error) {
          onLoss(1, error);
        }
      };
      await Promise.all(linesOf(message).map((line) => inTurn(() => say(line))));
    },
    flush: () => inTurn(() => Promise.resolve()),
  };
}

/** A message of output for each of its lines. */
function linesOf(message: EngineMessage): EngineMessage[] {
  if (message.stream === undefined) return [message];
  return message.stream.split(/(?<=\n)/).map((stream) => ({ ...message, stream }));
}
