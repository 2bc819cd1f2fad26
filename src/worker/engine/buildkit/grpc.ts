import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { reasonOf } from '../../../contract/reason.ts';
import { limits } from '../limits.ts';

/** gRPC over one HTTP/2 stream, server's side: messages with a prefix of five bytes, and a status in the trailers. */

/** The codes of a call's end that are used here (grpc/grpc, "Status codes"). */
export const grpcStatus = {
  ok: 0,
  unknown: 2,
  notFound: 5,
  resourceExhausted: 8,
  unimplemented: 12,
  internal: 13,
} as const;
export type GrpcStatusCode = (typeof grpcStatus)[keyof typeof grpcStatus];

/** Ends a call with a code of its own. */
export class GrpcError extends Error {
  override readonly name = 'GrpcError';
  readonly code: GrpcStatusCode;

  constructor(code: GrpcStatusCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** A call in progress. */
export interface GrpcCall {
  /** Every value sent under this name, also one in UTF-8. */
  metadata(name: string): string[];
  /** What the caller sends, to its end. Can be read once. */
  readonly messages: AsyncIterable<Buffer>;
  /** Sends a message given in parts, whole or not at all; waits where the caller cannot keep up. Throws once the call has ended. */
  send(...parts: readonly Uint8Array[]): Promise<void>;
}

/** Serves a call: the call ends well when it resolves, else with the code of a {@link GrpcError} or `unknown`. */
export type GrpcHandler = (call: GrpcCall) => Promise<void>;

/** A handler for a method of one request and one response. */
export function unary(answer: (request: Buffer) => Uint8Array): GrpcHandler {
  return async (call) => {
    for await (const request of call.messages) return call.send(answer(request));
    throw new GrpcError(grpcStatus.internal, 'the call has no request');
  };
}

const PREFIX_BYTES = 5;

/** Cuts a stream of bytes into messages. Throws a {@link GrpcError} at one that is compressed, too long, or cut short. */
export async function* readGrpcMessages(stream: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, void> {
  let kept: Buffer[] = [];
  let size = 0;
  let wanted = PREFIX_BYTES;
  for await (const chunk of stream) {
    kept.push(chunk);
    size += chunk.length;
    if (size < wanted) continue;
    let bytes = kept.length === 1 ? chunk : Buffer.concat(kept);
    for (;;) {
      wanted = PREFIX_BYTES;
      if (bytes.length < wanted) break;
      const length = bytes.readUInt32BE(1);
      if (bytes[0] !== 0) throw new GrpcError(grpcStatus.unimplemented, 'a message is compressed');
      if (length > limits.grpcMessageBytes) {
        throw new GrpcError(
          grpcStatus.resourceExhausted,
          `a message has more than ${limits.grpcMessageBytes} bytes`,
        );
      }
      wanted += length;
      if (bytes.length < wanted) break;
      yield bytes.subarray(PREFIX_BYTES, wanted);
      bytes = bytes.subarray(wanted);
    }
    kept = bytes.length === 0 ? [] : [bytes];
    size = bytes.length;
  }
  if (size > 0) throw new GrpcError(grpcStatus.internal, 'the call ended within a message');
}

/** Serves one HTTP/2 stream as a call. Resolves when the handler is done; never rejects. */
export async function serveCall(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  rawHeaders: readonly string[],
  handlers: ReadonlyMap<string, GrpcHandler>,
): Promise<void> {
  // An error of the stream's is met where the handler reads or writes.
  stream.on('error', () => undefined);
  const path = headers[':path'] ?? '';
  const handler = handlers.get(path);
  if (!handler) {
    stream.respond(
      { ...HEAD, ...trailers(grpcStatus.unimplemented, `unknown method ${path}`) },
      { endStream: true },
    );
    return;
  }
  let end: Record<string, string> = trailers(grpcStatus.ok, '');
  stream.respond(HEAD, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers(end));
  const sender = createSender(stream);
  try {
    await handler({
      metadata: (name) => metadataOf(headers, rawHeaders, name),
      messages: readGrpcMessages(stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>),
      send: sender.send,
    });
  } catch (error) {
    const code = error instanceof GrpcError ? error.code : grpcStatus.unknown;
    end = trailers(code, reasonOf(error));
  }
  sender.flush();
  if (!stream.destroyed) stream.end();
}

const HEAD = { ':status': 200, 'content-type': 'application/grpc' };

function trailers(code: GrpcStatusCode, message: string): Record<string, string> {
  return {
    'grpc-status': String(code),
    ...(message === '' ? {} : { 'grpc-message': encodeURIComponent(message.toWellFormed()) }),
  };
}

/** node joins repeated headers and reads them as Latin-1; newer engines escape the values and say so. */
function metadataOf(headers: IncomingHttpHeaders, rawHeaders: readonly string[], name: string): string[] {
  const escaped = headers[`${name}-encoded`] === '1';
  const values: string[] = [];
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    if (rawHeaders[at] !== name) continue;
    const value = Buffer.from(rawHeaders[at + 1] ?? '', 'latin1').toString('utf8');
    values.push(escaped ? decodeURIComponent(value.replaceAll('+', ' ')) : value);
  }
  return values;
}

/** Gathers small messages, so that a thousand of them do not cost a thousand writes to the socket. */
function createSender(stream: ServerHttp2Stream): { send: GrpcCall['send']; flush(): void } {
  let gathering = false;
  let drained: Promise<void> | null = null;
  const flush = (): void => {
    if (!gathering) return;
    gathering = false;
    stream.uncork();
  };
  return {
    flush,
    async send(...parts) {
      if (stream.destroyed || stream.writableEnded) throw new Error('the call has ended');
      if (!gathering) {
        gathering = true;
        stream.cork();
        setImmediate(flush);
      }
      const prefix = Buffer.alloc(PREFIX_BYTES);
      prefix.writeUInt32BE(
        parts.reduce((sum, part) => sum + part.length, 0),
        1,
      );
      stream.write(prefix);
      for (const part of parts) stream.write(part);
      if (stream.writableLength < limits.grpcBatchBytes) return;
      flush();
      if (!stream.writableNeedDrain) return;
      drained ??= drain(stream).finally(() => {
        drained = null;
      });
      await drained;
    },
  };
}

async function drain(stream: ServerHttp2Stream): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const settle = (): void => {
      stream.off('drain', settle).off('close', settle);
      if (stream.destroyed) reject(new Error('the call has ended'));
      else resolve();
    };
    stream.on('drain', settle).on('close', settle);
  });
}
