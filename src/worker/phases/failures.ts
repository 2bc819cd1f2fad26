import { BuildError, type BuildErrorCode } from '../../contract/build-errors.ts';
import { EngineError, type EngineCall } from '../engine/engine.ts';
import { sleep } from '../clock.ts';
import { ENGINE_RETRY_MS, ENGINE_TRIES, TRANSFER_STALL_MS } from '../limits.ts';
import { engineCall, type BuildRun } from './build-run.ts';

/** How what goes wrong on an engine becomes an error of the contract. */

/**
 * The error that a failed engine call ends the build with; an engine that is gone is always `dockerconnecterror`, and one whose disk
 * is full `internalerror`: another worker may have room.
 */
export function engineFailure(error: unknown, code: BuildErrorCode): unknown {
  if (!(error instanceof EngineError)) return error;
  if (error.kind === 'full') {
    const message = `There is no room left on the disk of the worker's engine: ${error.message}`;
    return new BuildError('internalerror', message, { cause: error });
  }
  const known = error.kind === 'unreachable' ? 'dockerconnecterror' : code;
  return new BuildError(known, error.message, { cause: error });
}

/**
 * Asks the engine to pull or push, three times at most (contract 0.3). What a registry denied or does not know stays so, one that
 * moves nothing for a long time is given up, and an engine that is gone is the manager's to try elsewhere. Throws the
 * BuildError of this code.
 */
export async function tryThrice<T>(
  run: BuildRun,
  code: BuildErrorCode,
  request: (call: EngineCall) => Promise<T>,
): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    run.signal.throwIfAborted();
    const transfer = watchTransfer(run);
    try {
      return await request(transfer.call);
    } catch (error) {
      run.signal.throwIfAborted();
      if (transfer.stalled()) throw engineFailure(new EngineError('failed', STALLED), code);
      const again = error instanceof EngineError && (error.kind === 'failed' || error.kind === 'refused');
      if (!again || tries >= ENGINE_TRIES) throw engineFailure(error, code);
      run.logger.warn({ tries, reason: error.message }, 'the engine failed, trying again');
      await run.output.message({
        status: `${error.message}; trying again (${tries + 1} of ${ENGINE_TRIES})`,
      });
      await sleep(run.clock, ENGINE_RETRY_MS * 2 ** (tries - 1), run.signal);
    } finally {
      transfer.end();
    }
  }
}

const STALLED = `The registry moved nothing for ${TRANSFER_STALL_MS / 1000} s.`;

/** A call that ends when the build does, or when the engine has said nothing for so long. */
function watchTransfer(run: BuildRun): { call: EngineCall; stalled: () => boolean; end: () => void } {
  const stall = new AbortController();
  const restart = (): (() => void) => run.clock.after(TRANSFER_STALL_MS, () => stall.abort());
  let callOff = restart();
  const { signal, onMessage } = engineCall(run);
  return {
    call: {
      signal: AbortSignal.any([signal, stall.signal]),
      onMessage: (message) => {
        callOff();
        callOff = restart();
        return onMessage(message);
      },
    },
    stalled: () => stall.signal.aborted,
    end: () => callOff(),
  };
}
