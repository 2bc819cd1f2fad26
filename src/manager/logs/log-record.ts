import type { LogRecord } from '../../contract/api.ts';
import {
  engineMessageSchema,
  parseStepHeading,
  statusDataSchema,
  type EngineMessage,
  type StatusData,
  type StepHeading,
} from '../../contract/log-messages.ts';
import { LOG_TEXT_MAX_CHARACTERS } from '../limits.ts';

/** What `json_data` of a log message says (worker contract 0.3, "A build, as phases"). */
export type LogMessageContent =
  | { readonly type: 'phase'; readonly statusData: StatusData }
  | { readonly type: 'engine'; readonly message: EngineMessage }
  | { readonly type: 'unreadable' };

/** Reads `json_data`. What is not JSON, or is no message, is `unreadable` and loses nothing but itself. */
export function readLogMessage(jsonData: string): LogMessageContent {
  let json: unknown;
  try {
    json = JSON.parse(jsonData);
  } catch {
    return { type: 'unreadable' };
  }
  if (typeof json !== 'object' || json === null) return { type: 'unreadable' };
  if ('status_data' in json) {
    const statusData = statusDataSchema.safeParse(json.status_data ?? {});
    return { type: 'phase', statusData: statusData.success ? statusData.data : {} };
  }
  const message = engineMessageSchema.safeParse(json);
  return message.success ? { type: 'engine', message: message.data } : { type: 'unreadable' };
}

/** The part of a record that a message decides; who stores it adds try, seq, time, phase and step. */
export type LogEntry = Pick<LogRecord, 'stream' | 'text' | 'progress'>;

/** The base image that a phase change says is pulled. */
export function baseImageOf({ base_image, base_image_tag }: StatusData): string | undefined {
  return base_image ? `${base_image}${separator(base_image_tag)}${base_image_tag ?? ''}` : undefined;
}

/** What a phase change looks like in the log. */
export function phaseEntry(phase: string, status: StatusData): LogEntry {
  const image = baseImageOf(status);
  const base = image === undefined ? '' : ` ${image}`;
  const user = status.pull_username ? ` as ${status.pull_username}` : '';
  return { stream: 'phase', text: `${phase}${base}${user}` };
}

/** What an engine's message looks like in the log: nothing, an entry, or several for a long piece of output. */
export function engineEntries(message: EngineMessage): LogEntry[] {
  if (message.stream) return pieces(message.stream).map((text) => ({ stream: 'output', text }));
  if (!message.status) return [];
  const id = message.id ?? '';
  const { current, total } = message.progressDetail ?? {};
  if (current === undefined) {
    return [{ stream: 'status', text: cut(id === '' ? message.status : `${id}: ${message.status}`) }];
  }
  return [{ stream: 'progress', text: cut(message.status), progress: { id, current, total: total ?? null } }];
}

/** The step that an engine's message begins, or null. */
export function beginningStep({ stream }: EngineMessage): StepHeading | null {
  const step = stream === undefined ? null : parseStepHeading(stream);
  return step === null || step.ordinal < 1 || (step.total !== null && step.ordinal > step.total)
    ? null
    : step;
}

function separator(tag: string | undefined): string {
  if (!tag) return '';
  return tag.startsWith('sha256:') ? '@' : ':';
}

function pieces(text: string): string[] {
  const count = Math.ceil(text.length / LOG_TEXT_MAX_CHARACTERS);
  return Array.from({ length: count }, (_, index) =>
    text.slice(index * LOG_TEXT_MAX_CHARACTERS, (index + 1) * LOG_TEXT_MAX_CHARACTERS),
  );
}

function cut(text: string): string {
  return text.length <= LOG_TEXT_MAX_CHARACTERS
    ? text
    : `${text.slice(0, LOG_TEXT_MAX_CHARACTERS)}… [cut: ${text.length} characters]\n`;
}
