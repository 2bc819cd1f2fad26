import { z } from 'zod';
import { engineMessageSchema, type EngineMessage } from '../../contract/log-messages.ts';
import { reasonOf } from '../../contract/reason.ts';
import { EngineError, type EngineCall } from './engine.ts';
import { limits } from './limits.ts';

/** The stream of JSON messages, one a line, by which an engine answers builds, pulls and pushes. */

const wireMessageSchema = engineMessageSchema.extend({
  aux: z.unknown().optional(),
  error: z.string().optional(),
  errorDetail: z.object({ message: z.string().optional(), code: z.number().optional() }).optional(),
});
export type WireMessage = z.output<typeof wireMessageSchema>;

const NEWLINE = 10;

/**
 * Reads the messages of a stream. Throws an EngineError `failed` at a line that is no message or exceeds the limit; what
 * the stream itself throws passes through.
 */
export async function* readMessages(
  stream: AsyncIterable<Buffer>,
  maximumBytes: number = limits.messageBytes,
): AsyncGenerator<WireMessage, void, void> {
  let kept: Buffer[] = [];
  let keptBytes = 0;
  for await (const chunk of stream) {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      const piece = chunk.subarray(start, end);
      const line = keptBytes === 0 ? piece : Buffer.concat([...kept, piece]);
      kept = [];
      keptBytes = 0;
      start = end + 1;
      const message = parseMessage(line);
      if (message) yield message;
    }
    if (start < chunk.length) {
      kept.push(chunk.subarray(start));
      keptBytes += chunk.length - start;
    }
    if (keptBytes > maximumBytes) {
      throw new EngineError('failed', `The engine sent a message of more than ${maximumBytes} bytes.`);
    }
  }
  const message = parseMessage(Buffer.concat(kept));
  if (message) yield message;
}

function parseMessage(line: Buffer): WireMessage | null {
  const text = line.toString('utf8').trim();
  if (text === '') return null;
  try {
    return wireMessageSchema.parse(JSON.parse(text));
  } catch (error) {
    throw new EngineError('failed', 'The engine sent what is not a message of its API.', { cause: error });
  }
}

/** The engine's error in a message, its exit code in words, or null. */
export function errorOf(message: WireMessage): string | null {
  const text = message.errorDetail?.message ?? message.error;
  if (text === undefined) return null;
  return text === '' ? `exit code: ${message.errorDetail?.code ?? 'unknown'}` : text;
}

/** What of a message goes into the build's log, or null. */
export function logMessageOf(message: WireMessage): EngineMessage | null {
  const { stream, status, id, progress, progressDetail } = message;
  if (stream === undefined && status === undefined) return null;
  return {
    ...(stream === undefined ? {} : { stream }),
    ...(status === undefined ? {} : { status }),
    ...(id === undefined ? {} : { id }),
    ...(progress === undefined ? {} : { progress }),
    ...(progressDetail === null || progressDetail === undefined ? {} : { progressDetail }),
  };
}

/** What `onMessage` answers with when it needs nothing more of the engine's answer. */
export const ENOUGH = Symbol('enough');

/**
 * Reads an engine's answer to its end: each message goes to `onMessage` first, which may have ENOUGH. Turns a connection
 * that ended early into an EngineError `unreachable`, and an abort into the signal's reason.
 */
export async function followMessages(
  stream: AsyncIterable<Buffer>,
  call: EngineCall,
  onMessage: (message: WireMessage) => unknown,
): Promise<void> {
  try {
    for await (const message of readMessages(stream)) {
      call.signal.throwIfAborted();
      const wait = onMessage(message);
      if (wait instanceof Promise && (await wait) === ENOUGH) break;
    }
  } catch (error) {
    if (call.signal.aborted) throw call.signal.reason;
    if (isConnectionError(error)) {
      throw new EngineError('unreachable', `The engine went away in mid-call: ${reasonOf(error)}`, {
        cause: error,
      });
    }
    throw error;
  }
  call.signal.throwIfAborted();
}

/** Whether node's sockets made this error. */
function isConnectionError(error: unknown): boolean {
  return (
    error instanceof Error &&
    'code' in error &&
    [
      'ECONNRESET',
      'EPIPE',
      'ERR_STREAM_PREMATURE_CLOSE',
      'ETIMEDOUT',
      'ECONNABORTED',
      'HPE_INVALID_EOF_STATE',
    ].includes(String(error.code))
  );
}
