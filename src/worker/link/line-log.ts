import { BuildError } from '../../contract/build-errors.ts';
import { managerProcedures } from '../../contract/uris.ts';
import { LINE_BYTES_IN_FLIGHT_MAX, LINES_IN_FLIGHT_MAX } from '../limits.ts';
import { type BuildLog, type BuildLogOptions, messageJson, phaseJson } from './build-log.ts';

/**
 * The way of every manager: one call of `logmessagesynchronously` for each message (contract 0.3, "A build, as phases").
 * Calls go out in order without waiting for each answer, up to a window; then the engine waits.
 */
export function createLineLog({ session, onCancelled, onLoss }: BuildLogOptions): BuildLog {
  let calls = 0;
  let bytes = 0;
  let cancelled = false;
  /** Turns that are not due yet, in the order in which they were asked for. */
  const turns: { readonly due: () => boolean; readonly take: () => void }[] = [];

  const takeTurns = (): void => {
    while (turns[0]?.due() === true) turns.shift()?.take();
  };
  const turn = (due: () => boolean, act?: () => void): Promise<void> =>
    new Promise((resolve) => {
      const take = (): void => {
        act?.();
        resolve();
      };
      turns.push({ due, take });
      takeTurns();
    });
  const hasRoom = (): boolean =>
    cancelled || (calls < LINES_IN_FLIGHT_MAX && bytes < LINE_BYTES_IN_FLIGHT_MAX);
  const isIdle = (): boolean => calls === 0;

  const send = (phase: string, jsonData: string): void => {
    calls += 1;
    bytes += jsonData.length;
    const settle = (): void => {
      calls -= 1;
      bytes -= jsonData.length;
      takeTurns();
    };
    session.call(managerProcedures.logMessage, { phase, json_data: jsonData }).then(
      (answer) => {
        if (answer === false && !cancelled) {
          cancelled = true;
          onCancelled();
        }
        settle();
      },
      (error: unknown) => {
        onLoss(1, error);
        settle();
      },
    );
  };

  return {
    phase: async (phase, data) => {
      await turn(isIdle);
      let answer: unknown;
      try {
        answer = await session.call(managerProcedures.logMessage, { phase, json_data: phaseJson(data) });
      } catch (error) {
        throw new BuildError('errorduringphasetransition', `The phase ${phase} could not be reported.`, {
          cause: error,
        });
      }
      if (answer === false) throw new BuildError('clientrejectedtransition', 'The build was cancelled.');
    },
    message: (phase, message) =>
      turn(hasRoom, () => {
        if (!cancelled) send(phase, messageJson(message));
      }),
    flush: () => turn(isIdle),
  };
}
