import {
  request as httpRequest,
  type ClientRequest,
  type IncomingMessage,
  type RequestOptions,
} from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Duplex, Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { z } from 'zod';
import type { Endpoint } from './endpoint.ts';
import type { EngineError } from './engine.ts';
import { unreachable } from './errors.ts';
import { limits } from './limits.ts';

/** The requests that dockerode has no call for, or makes in a way of its own: sessions, builds, and what lies on the engine. */

interface EngineRequest {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** Path and query. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  readonly body?: Readable;
  readonly signal: AbortSignal;
}

export interface Transport {
  /** The engine's name, for messages. */
  readonly name: string;
  /**
   * Sends a request and answers with the head of its response; the body is the caller's to read. Aborting the signal ends
   * both. Throws an EngineError `unreachable`, or the one that `refusal` makes of a status of 400 or more.
   */
  request(
    request: EngineRequest,
    refusal: (status: number, message: string) => EngineError,
  ): Promise<IncomingMessage>;
  /** Asks for a connection of another protocol; null when the engine answers without changing over. */
  upgrade(request: EngineRequest): Promise<Duplex | null>;
}

/** A transport that opens a connection for each request, so that none is left open and none is stale. */
export function createTransport(endpoint: Endpoint): Transport {
  const options: RequestOptions =
    'socketPath' in endpoint.address
      ? { socketPath: endpoint.address.socketPath }
      : { host: endpoint.address.host, port: endpoint.address.port, ...endpoint.address.tls };
  const begin = ({ method, path, headers, signal }: EngineRequest): ClientRequest => {
    const outgoing = (endpoint.protocol === 'https' ? httpsRequest : httpRequest)({
      ...options,
      method,
      path,
      headers: Object.fromEntries(
        Object.entries(headers ?? {}).map(([name, value]) => [
          name,
          typeof value === 'string' ? value : [...value],
        ]),
      ),
      agent: false,
    });
    // Not node's own option `signal`: that one stays with the socket, and errs there where nobody listens any more.
    const abort = (): void => void outgoing.destroy(asError(signal.reason));
    signal.addEventListener('abort', abort, { once: true });
    for (const over of ['close', 'upgrade']) {
      outgoing.on(over, () => signal.removeEventListener('abort', abort));
    }
    return outgoing;
  };
  const failed = (signal: AbortSignal, error: unknown): Error =>
    signal.aborted ? asError(signal.reason) : unreachable(endpoint.name, error);

  return {
    name: endpoint.name,
    async request(request, refusal) {
      request.signal.throwIfAborted();
      const response = await new Promise<IncomingMessage>((resolve, reject) => {
        const outgoing = begin(request);
        outgoing.on('response', resolve);
        outgoing.on('error', (error) => reject(failed(request.signal, error)));
        // A body that ends early, or is no longer wanted, shows as the request's own error, or does not matter.
        if (request.body) {
          pipeline(request.body, outgoing).catch((error: unknown) => outgoing.destroy(asError(error)));
        } else outgoing.end();
      });
      const status = response.statusCode ?? 0;
      if (status < 400) return response;
      throw refusal(status, await readErrorMessage(response));
    },
    async upgrade(request) {
      request.signal.throwIfAborted();
      return new Promise((resolve, reject) => {
        const outgoing = begin(request);
        outgoing.on('upgrade', (_response, socket, head) => {
          if (head.length > 0) socket.unshift(head);
          resolve(socket);
        });
        outgoing.on('response', (response) => {
          response.destroy();
          resolve(null);
        });
        outgoing.on('error', (error) => reject(failed(request.signal, error)));
        outgoing.end();
      });
    },
  };
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

const errorBodySchema = z.object({ message: z.string() });

async function readErrorMessage(response: IncomingMessage): Promise<string> {
  let text = '';
  try {
    for await (const chunk of response.setEncoding('utf8') as AsyncIterable<string>) {
      text += chunk;
      if (text.length > limits.errorBytes) break;
    }
    return errorBodySchema.parse(JSON.parse(text)).message.trim();
  } catch {
    // Not the engine's form: an error page, or an answer cut short.
    return text.trim().slice(0, 1000) || `status ${response.statusCode ?? 0}`;
  }
}
