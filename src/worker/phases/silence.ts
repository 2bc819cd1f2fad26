import { BuildError } from '../../contract/build-errors.ts';
import type { EngineCall } from '../engine/engine.ts';
import { type BuildRun, engineCall } from './build-run.ts';

interface SilenceWatch {
  /** A call that is stopped when the engine has said nothing for so long as the build allows (`silence_timeout`). */
  readonly call: EngineCall;
  /** What such a call rejects with. */
  readonly error: BuildError;
  readonly end: () => void;
}

/** The time in which a message waits to be taken, as when the manager is slow, is no silence of the build's. */
export function watchSilence(run: BuildRun): SilenceWatch {
  const { signal, onMessage } = engineCall(run);
  const seconds = run.build.silence_timeout;
  const error = new BuildError(
    'builderror',
    `The build printed nothing for ${seconds ?? 0} s, which is its limit (silence_timeout), and was stopped.`,
  );
  if (seconds === undefined) return { call: { signal, onMessage }, error, end: () => undefined };
  const silence = new AbortController();
  const listen = (): (() => void) => run.clock.after(seconds * 1000, () => silence.abort(error));
  let callOff = listen();
  let waiting = 0;
  return {
    call: {
      signal: AbortSignal.any([signal, silence.signal]),
      onMessage: async (message) => {
        callOff();
        waiting += 1;
        await onMessage(message);
        waiting -= 1;
        if (waiting === 0 && !silence.signal.aborted) callOff = listen();
      },
    },
    error,
    end: () => callOff(),
  };
}
