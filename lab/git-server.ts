import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRepositories, type LabRepositories } from './repositories.ts';

export interface GitServerOptions {
  /** What a client must show by HTTP Basic; nobody is asked when absent. */
  readonly credentials?: { readonly username: string; readonly password: string };
  /** Serves https, as who has this key and certificate (PEM). */
  readonly tls?: { readonly key: string; readonly cert: string };
  /** Speaks only the oldest protocol, which gives out nothing but the tips of branches and tags. */
  readonly oldProtocol?: boolean;
}

export interface LabGitServer extends AsyncDisposable, LabRepositories {
  /** `http://127.0.0.1:port`, or https. */
  readonly origin: string;
  /** The URL of `NAME.git`. */
  url(name: string): string;
  /** From now on: `hang` takes requests and never answers; an URL redirects there. */
  fault(fault: 'none' | 'hang' | { readonly redirect: string }): void;
  /** Resolves when a request arrives after this call. */
  requested(): Promise<void>;
  stop(): Promise<void>;
}

/** Serves git over http or https on the loopback as real servers do: git's own `http-backend`, as CGI. */
export async function startGitServer(options: GitServerOptions = {}): Promise<LabGitServer> {
  const root = await mkdtemp(join(tmpdir(), 'qlab-git-'));
  const watchers = new Set<() => void>();
  let current: Parameters<LabGitServer['fault']>[0] = 'none';
  const serve: RequestListener = (request, response) => {
    for (const watch of watchers) watch();
    if (current === 'hang') return;
    if (current !== 'none') {
      response.writeHead(301, { location: current.redirect + (request.url ?? '') }).end();
    } else if (!isPermitted(request, options)) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="lab"' }).end();
    } else serveCgi(root, request, response, options);
  };
  const server = options.tls ? createTlsServer(options.tls, serve) : createServer(serve);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const origin = `${options.tls ? 'https' : 'http'}://127.0.0.1:${port}`;

  const stop = async (): Promise<void> => {
    if (server.listening) {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    }
    await rm(root, { recursive: true, force: true });
  };
  return {
    origin,
    url: (name) => `${origin}/${name}.git`,
    ...createRepositories(root),
    fault: (fault) => {
      current = fault;
    },
    requested: () =>
      new Promise((resolve) => {
        const watch = (): void => {
          watchers.delete(watch);
          resolve();
        };
        watchers.add(watch);
      }),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

function isPermitted(request: IncomingMessage, { credentials }: GitServerOptions): boolean {
  if (!credentials) return true;
  const { username, password } = credentials;
  const expected = Buffer.from(`${username}:${password}`).toString('base64');
  return request.headers.authorization === `Basic ${expected}`;
}

/** Runs `git http-backend` for one request (RFC 3875). */
function serveCgi(
  root: string,
  request: IncomingMessage,
  response: ServerResponse,
  { oldProtocol = false }: GitServerOptions,
): void {
  const url = new URL(request.url ?? '/', 'http://lab');
  const protocol = request.headers['git-protocol'];
  const backend = spawn('git', ['http-backend'], {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: {
      PATH: process.env['PATH'],
      HOME: root,
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: '1',
      REQUEST_METHOD: request.method,
      PATH_INFO: decodeURIComponent(url.pathname),
      QUERY_STRING: url.search.slice(1),
      CONTENT_TYPE: request.headers['content-type'],
      HTTP_CONTENT_ENCODING: request.headers['content-encoding'],
      REMOTE_ADDR: '127.0.0.1',
      ...(typeof protocol === 'string' && !oldProtocol ? { GIT_PROTOCOL: protocol } : {}),
    },
  });
  response.on('close', () => backend.kill());
  backend.stdin.on('error', () => undefined);
  request.pipe(backend.stdin);
  let head = Buffer.alloc(0);
  const readHead = (chunk: Buffer): void => {
    head = Buffer.concat([head, chunk]);
    const end = head.indexOf('\r\n\r\n');
    if (end === -1) return;
    backend.stdout.off('data', readHead);
    const headers = head
      .subarray(0, end)
      .toString()
      .split('\r\n')
      .map((line): [string, string] => {
        const colon = line.indexOf(':');
        return [line.slice(0, colon), line.slice(colon + 1).trim()];
      });
    const status = headers.find(([name]) => name.toLowerCase() === 'status')?.[1] ?? '200';
    response.writeHead(Number.parseInt(status, 10), Object.fromEntries(headers));
    response.write(head.subarray(end + 4));
    backend.stdout.pipe(response);
  };
  backend.stdout.on('data', readHead);
}
