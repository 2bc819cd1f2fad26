import { BuildError } from '../../contract/build-errors.ts';
import type { EngineMessage, StatusData } from '../../contract/log-messages.ts';
import type { WorkerPhase } from '../../contract/phases.ts';
import type { Clock } from '../clock.ts';
import type { BuildLink } from './build-link.ts';
import type { LogSpool } from './log-spool.ts';

/** How a build's log reaches the manager: the port of the line by line and the batched way. Order is kept. */
export interface BuildLog {
  /**
   * Announces a phase, after all that was logged before; resolves when the phase may begin. Throws a BuildError:
   * `clientrejectedtransition` when the manager answers false, `errorduringphasetransition` when it does not answer.
   */
  phase(phase: WorkerPhase, data: StatusData): Promise<void>;
  /** Logs a message; resolves when there is room for the next. A message that cannot be delivered fails nothing. */
  message(phase: WorkerPhase, message: EngineMessage): Promise<void>;
  /** Resolves when all that was logged is delivered, or cannot be. */
  flush(): Promise<void>;
}

export interface BuildLogOptions {
  readonly link: BuildLink;
  readonly clock: Clock;
  /** The manager said no to what nobody waits for, or could not be told of a phase: the build ends with this. */
  readonly onRefused: (error: BuildError) => void;
  /** Where messages go, once memory is full, while the link is away; null: the engine waits. */
  readonly spool: LogSpool | null;
  /** Messages were not delivered, and why. */
  readonly onLoss: (messages: number, error: unknown) => void;
}

/** The manager answered with false. */
export function cancelled(): BuildError {
  return new BuildError('clientrejectedtransition', 'The build was cancelled.');
}

/** The manager could not be told of a phase. */
export function phaseNotReported(phase: WorkerPhase, cause: unknown): BuildError {
  return new BuildError('errorduringphasetransition', `The phase ${phase} could not be reported.`, { cause });
}

/** `json_data` of an engine's message, as deployed workers write it: with `progressDetail`, also an empty one. */
export function messageJson({ stream, status, id, progressDetail }: EngineMessage): string {
  return JSON.stringify({ stream, status, id, progressDetail: progressDetail ?? {} });
}

/** `json_data` of a phase change. */
export function phaseJson(data: StatusData): string {
  return JSON.stringify({ status_data: data });
}
