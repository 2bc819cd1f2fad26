import { setTimeout as sleep } from 'node:timers/promises';
import type { EngineMessage } from '../../../contract/log-messages.ts';
import { EngineError } from '../engine.ts';
import { limits } from '../limits.ts';
import type { StatusResponse } from './protobuf.ts';

/**
 * Docker 20.10 never ends a report of more than 1 MiB of output, which gathers when a step prints faster than we read:
 * empty reports follow for ever. The build itself goes on, and the id of its image still comes; what it prints from then
 * on, and why it fails, does not.
 */
export interface SilenceWatch {
  /** Whether nothing but empty reports will come. */
  readonly isSilent: boolean;
  /**
   * Takes note of a report. Holds the engine back once it is silent, since it sends as fast as we read. Answers with what the
   * log should say of it. Throws an EngineError `failed` when a silent build does not end.
   */
  heard(report: StatusResponse, signal: AbortSignal): Promise<EngineMessage[]>;
}

export function watchSilence(now: () => number = Date.now): SilenceWatch {
  let empty = 0;
  let since = 0;
  return {
    get isSilent() {
      return empty >= limits.emptyReports;
    },
    async heard({ vertexes, statuses, logs }, signal) {
      if (vertexes.length + statuses.length + logs.length > 0) {
        empty = 0;
        return [];
      }
      empty += 1;
      if (empty === limits.emptyReports) {
        since = now();
        return [{ status: SILENT_NOTE }];
      }
      if (empty % limits.emptyReports === 0) {
        await sleep(limits.silentPauseMs, undefined, { signal });
        if (now() - since > limits.silentMs) throw new EngineError('failed', NEVER_ENDED);
      }
      return [];
    },
  };
}

const SILENT_NOTE =
  'The engine stopped telling what the build does, since a step printed more than 1 MiB at once: a fault of Docker 20.10. The build goes on; the rest of its output is lost.';
const NEVER_ENDED = `The engine stopped telling what the build does, since a step printed more than 1 MiB at once (a fault of Docker 20.10), and the build did not end within ${limits.silentMs / 60_000} minutes. It may have failed: print less, or use a newer engine.`;
