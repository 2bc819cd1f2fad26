import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { freePort } from '../../../lab/ports.ts';
import { startProcess } from '../../../lab/process.ts';
import { startProxyServer } from '../../../lab/proxy-server.ts';
import type { Proxies } from '../../../src/contract/network/proxies.ts';
import { openTransport, type TransportOptions } from '../../../src/worker/link/transport.ts';
import type { TlsOptions } from '../../../src/worker/link/tls.ts';
import { fastClock } from '../harness.ts';
import { startTestManager, type TestManager } from '../test-manager.ts';
import {
  authority,
  certificatePem,
  dnsName,
  issue,
  loopback,
  startTlsServer,
  type Identity,
} from './identities.ts';

/** The connection to a manager, through a proxy. */

const MAIN = fileURLToPath(new URL('../../../src/worker/main.ts', import.meta.url));
const never = new AbortController().signal;

let directory: string;
let ca: Identity;
let open: TestManager;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'quay-builder-proxies-'));
  ca = await authority('Lab');
  open = await startTestManager();
});
afterAll(async () => {
  await open[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

function through(http: string | null, https: string | null = http, none: string[] = []): Proxies {
  return { http: http === null ? null : new URL(http), https: https === null ? null : new URL(https), none };
}

/** Answers with `connected`, or why not. */
async function connect(
  url: URL,
  proxies: Proxies,
  tls: TlsOptions = {},
  options: TransportOptions = {},
): Promise<string> {
  try {
    const transport = await openTransport(url, tls, fastClock, never, { proxies, ...options });
    transport.end();
    await transport.closed;
    return 'connected';
  } catch (error) {
    return String(error);
  }
}

async function connectSecurely(
  certificate: Identity,
  proxies: Proxies,
  host: string,
  serverName?: string,
): Promise<string> {
  const server = await startTlsServer(certificate);
  await using manager = await startTestManager({}, server);
  const url = new URL(manager.url.href.replace('127.0.0.1', host));
  const tls = {
    ca: Buffer.from(certificatePem(ca)),
    ...(serverName === undefined ? {} : { servername: serverName }),
  };
  try {
    return await connect(url, proxies, tls);
  } finally {
    server.close();
    server.closeAllConnections();
  }
}

it('ws goes through the proxy of http and wss through that of https, in tunnels, by names that only the proxy finds', async () => {
  await using http = await startProxyServer();
  await using https = await startProxyServer();
  const proxies = through(http.url, https.url);
  const url = new URL(open.url.href.replace('127.0.0.1', 'manager.example'));
  expect(await connect(url, proxies)).toBe('connected');
  expect(http.requests).toEqual([`CONNECT manager.example:${url.port}`]);
  expect(https.requests).toEqual([]);

  const named = await issue(ca, dnsName('manager.example'));
  expect(await connectSecurely(named, proxies, 'manager.example')).toBe('connected');
  expect(https.requests).toEqual([expect.stringMatching(/^CONNECT manager\.example:\d+$/)]);
});

it.each([
  ['the host', 'manager.example', 'manager.example', undefined],
  ['an address', '127.0.0.1', '127.0.0.1', undefined],
  ['the server name that is set', 'quay-services', '127.0.0.1', 'quay-services'],
])(
  'a certificate counts for %s, also behind a proxy, and an impostor is refused there',
  async (_what, name, host, serverName) => {
    await using proxy = await startProxyServer();
    const names = name === '127.0.0.1' ? loopback : dnsName(name);
    const proxies = through(proxy.url);
    expect(await connectSecurely(await issue(ca, names), proxies, host, serverName)).toBe('connected');
    // Node holds a socket without a host to this name.
    for (const other of ['localhost', 'other.example']) {
      const impostor = await issue(ca, dnsName(other));
      expect(await connectSecurely(impostor, proxies, host, serverName)).toMatch(
        /does not match certificate's altnames/,
      );
    }
    const stranger = await issue(await authority('Impostor'), names);
    expect(await connectSecurely(stranger, proxies, host, serverName)).toMatch(/unable to verify/);
  },
);

it('what NO_PROXY names is connected to directly', async () => {
  await using proxy = await startProxyServer();
  for (const none of ['127.0.0.1', '127.0.0.0/8', `127.0.0.1:${open.url.port}`, '*']) {
    expect(await connect(open.url, through(proxy.url, null, [none]))).toBe('connected');
  }
  expect(proxy.requests).toEqual([]);
});

it('a proxy is given its credentials; who has none, or wrong ones, is told so without them', async () => {
  await using proxy = await startProxyServer({ username: 'worker', password: 'p@ss' });
  const as = (user: string): Proxies => through(proxy.url.replace('://', `://${user}@`));
  expect(await connect(open.url, as('worker:p%40ss'))).toBe('connected');
  expect(await connect(open.url, as('worker:wr0ng'))).toBe(
    `Error: the proxy ${proxy.url} asks for credentials, or for others (407)`,
  );
  expect(await connect(open.url, through(proxy.url))).toContain('407');
});

it('a proxy that is not there, that refuses, that speaks no HTTP and that never answers are told apart', async () => {
  const away = await freePort();
  expect(await connect(open.url, through(`http://127.0.0.1:${away}`))).toMatch(
    /the proxy http:\/\/127\.0\.0\.1:\d+ could not be used: .*ECONNREFUSED/,
  );
  const answers: [answer: string | null, message: RegExp][] = [
    ['HTTP/1.1 403 Forbidden\r\n\r\n', /the proxy http:\S+ answered 403 to CONNECT/],
    ['SSH-2.0-no\r\n', /the proxy http:\S+ could not be used: /],
    [null, /the proxy http:\S+ could not be used: the connection did not open within 300 ms/],
  ];
  for (const [answer, message] of answers) {
    const server = createServer((socket) => {
      socket.on('error', () => undefined).resume();
      if (answer !== null) socket.write(answer);
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const options = answer === null ? { withinMs: 300 } : {};
    expect(await connect(open.url, through(`http://127.0.0.1:${port}`), {}, options)).toMatch(message);
    // Nothing of it is left open.
    server.close();
    await once(server, 'close');
  }
});

it('who is asked to leave does not wait for a proxy', async () => {
  const server = createServer((socket) => socket.on('error', () => undefined).resume()).listen(
    0,
    '127.0.0.1',
  );
  await once(server, 'listening');
  const leaving = new AbortController();
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  server.once('connection', () => leaving.abort(new Error('leaving')));
  await expect(
    openTransport(open.url, {}, fastClock, leaving.signal, { proxies: through(url) }),
  ).rejects.toThrow('leaving');
  server.close();
  await once(server, 'close');
});

/** The program itself, which finds no engine and says so, and goes on to look at its manager. */
async function doctor(env: NodeJS.ProcessEnv): Promise<string> {
  await using program = startProcess(process.execPath, [MAIN, 'doctor'], {
    env: {
      PATH: process.env['PATH'],
      WORK_DIR: join(directory, 'work'),
      DOCKER_HOST: `unix://${directory}/none.sock`,
      ENDPOINT: open.url.href,
      ...env,
    },
  });
  await program.exited;
  return program.output();
}

it('the usual variables say which proxy, in either case, and no password is shown', async () => {
  await using proxy = await startProxyServer({ username: 'worker', password: 'p@ss-w0rd' });
  const right = proxy.url.replace('://', '://worker:p%40ss-w0rd@');
  expect(await doctor({ HTTP_PROXY: right })).toMatch(/^ok {4}manager: ws:/m);
  expect(await doctor({ http_proxy: right })).toMatch(/^ok {4}manager: ws:/m);
  expect(proxy.requests).toHaveLength(2);
  expect(await doctor({ HTTP_PROXY: right, no_proxy: '127.0.0.1' })).toMatch(/^ok {4}manager: ws:/m);
  expect(proxy.requests).toHaveLength(2);
  const refused = await doctor({ HTTP_PROXY: proxy.url.replace('://', '://worker:wr0ng-w0rd@') });
  expect(refused).toMatch(/^FAIL {2}manager: .*407/m);
  expect(refused).not.toContain('wr0ng');
});
