import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';

/** How the server treats a path. */
export type PackageAnswer =
  | {
      readonly kind: 'bytes';
      readonly body: Uint8Array;
      /** null sends no Content-Type. */
      readonly contentType: string | null;
      readonly headers?: Readonly<Record<string, string>>;
      /** Sends this many bytes of the body, then breaks the connection. */
      readonly breakAfter?: number;
      /** Sends this many bytes of the body, then nothing. */
      readonly hangAfter?: number;
      /** Does not say how long the body is. */
      readonly chunked?: boolean;
    }
  | {
      readonly kind: 'status';
      readonly status: number;
      readonly location?: string;
      /** Begins a body, and never ends it. */
      readonly hang?: true;
    }
  | { readonly kind: 'hang' };

export interface LabPackageServer extends AsyncDisposable {
  /** `http://127.0.0.1:port`. */
  readonly url: string;
  /** What each request asked for, in order. */
  readonly requests: readonly { readonly path: string; readonly headers: IncomingMessage['headers'] }[];
  /** Serves `path` (without its query) with these answers in turn; the last one stays. */
  serve(path: string, ...answers: PackageAnswer[]): void;
  /** Resolves when a request for `path` arrives after this call. */
  requested(path: string): Promise<void>;
  stop(): Promise<void>;
}

/** Starts a server of packages on the loopback, which can also fail in the ways that such servers do. */
export async function startPackageServer(): Promise<LabPackageServer> {
  const answers = new Map<string, PackageAnswer[]>();
  const requests: { path: string; headers: IncomingMessage['headers'] }[] = [];
  const watchers = new Set<(path: string) => void>();
  const server = createServer((request, response) => {
    const path = (request.url ?? '/').split('?', 1)[0] ?? '/';
    requests.push({ path: request.url ?? '/', headers: request.headers });
    const queue = answers.get(path) ?? [];
    const answer = (queue.length > 1 ? queue.shift() : queue[0]) ?? { kind: 'status', status: 404 };
    reply(answer, response);
    for (const watch of watchers) watch(path);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;

  const stop = async (): Promise<void> => {
    if (!server.listening) return;
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
  };
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    serve: (path, ...given) => void answers.set(path, given),
    requested: (path) =>
      new Promise((resolve) => {
        const watch = (asked: string): void => {
          if (asked !== path) return;
          watchers.delete(watch);
          resolve();
        };
        watchers.add(watch);
      }),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

function reply(answer: PackageAnswer, response: ServerResponse): void {
  switch (answer.kind) {
    case 'hang':
      return;
    case 'status':
      response.writeHead(answer.status, answer.location === undefined ? {} : { location: answer.location });
      if (answer.hang) response.write('…');
      else response.end();
      return;
    case 'bytes': {
      const { body, contentType, headers = {}, breakAfter, hangAfter, chunked = false } = answer;
      response.writeHead(200, {
        ...(contentType === null ? {} : { 'content-type': contentType }),
        ...(chunked ? {} : { 'content-length': body.length }),
        ...headers,
      });
      const cut = breakAfter ?? hangAfter;
      if (cut === undefined) response.end(body);
      else response.write(body.subarray(0, cut), () => breakAfter !== undefined && response.destroy());
    }
  }
}
