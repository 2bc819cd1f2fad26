import { once } from 'node:events';
import { createServer, request as forward } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';

export interface LabProxyServer extends AsyncDisposable {
  /** `http://127.0.0.1:port`. */
  readonly url: string;
  /** What was asked for, in order: `GET http://host:port/path` or `CONNECT host:port`. */
  readonly requests: readonly string[];
  stop(): Promise<void>;
}

/** Starts an HTTP proxy on the loopback to which every name stands for the loopback. */
export async function startProxyServer(
  credentials: { readonly username: string; readonly password: string } | null = null,
): Promise<LabProxyServer> {
  const requests: string[] = [];
  const sockets = new Set<Socket>();
  const expected =
    credentials === null
      ? undefined
      : `Basic ${Buffer.from(`${credentials.username}:${credentials.password}`).toString('base64')}`;
  const server = createServer((request, response) => {
    requests.push(`${request.method ?? ''} ${request.url ?? ''}`);
    if (request.headers['proxy-authorization'] !== expected) {
      response.writeHead(407, { 'proxy-authenticate': 'Basic realm="lab"' }).end();
      return;
    }
    const { port, pathname, search } = new URL(request.url ?? '');
    const { 'proxy-authorization': _ours, ...headers } = request.headers;
    const asked = forward(
      { host: '127.0.0.1', port, path: pathname + search, method: request.method, headers },
      (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
      },
    );
    asked.on('error', () => response.destroy());
    request.pipe(asked);
  });
  server.on('connect', (request, client: Socket) => {
    requests.push(`CONNECT ${request.url ?? ''}`);
    if (request.headers['proxy-authorization'] !== expected) {
      client.end(
        'HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="lab"\r\n\r\n',
      );
      return;
    }
    const target = connect(Number(request.url?.split(':').at(-1)), '127.0.0.1', () => {
      client.write('HTTP/1.1 200 Connection established\r\n\r\n');
      target.pipe(client).pipe(target);
    });
    sockets.add(client).add(target);
    target.on('error', () => client.destroy());
    client.on('error', () => target.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const stop = async (): Promise<void> => {
    if (!server.listening) return;
    server.close();
    server.closeAllConnections();
    for (const socket of sockets) socket.destroy();
    await once(server, 'close');
  };
  return { url: `http://127.0.0.1:${port}`, requests, stop, [Symbol.asyncDispose]: stop };
}
