import { afterAll, beforeAll, expect, test } from 'vitest';
import { startGitServer, type LabGitServer } from '../../../lab/git-server.ts';
import { startPackageServer, type LabPackageServer } from '../../../lab/package-server.ts';
import { startProxyServer } from '../../../lab/proxy-server.ts';
import type { BuildArgumentsMessage } from '../../../src/contract/build-arguments.ts';
import { createSourceFetcher, type SourceFetcherOptions } from '../../../src/worker/source/index.ts';
import {
  passwordsOf,
  proxyFor,
  readNoProxy,
  readProxy,
  type Proxies,
} from '../../../src/contract/network/proxies.ts';
import { createWorkplace, fetchInto, refusal, waitLess } from './harness.ts';

let server: LabPackageServer;
let gitServer: LabGitServer;
let sha: string;
beforeAll(async () => {
  server = await startPackageServer();
  server.serve('/package', { kind: 'bytes', body: Buffer.from('FROM found\n'), contentType: 'text/plain' });
  server.serve('/away', { kind: 'status', status: 302, location: 'http://169.254.169.254/latest' });
  gitServer = await startGitServer();
  sha = await gitServer.commit('app', { Dockerfile: 'FROM found\n' });
});
afterAll(async () => {
  await server.stop();
  await gitServer.stop();
});

/** Names that only a proxy finds. */
const lookup = () => Promise.reject(Object.assign(new Error('no such name'), { code: 'ENOTFOUND' }));

async function fetchBase(
  build: Partial<BuildArgumentsMessage>,
  options: SourceFetcherOptions,
): Promise<string> {
  await using place = await createWorkplace();
  const fetchSource = createSourceFetcher({ wait: waitLess, lookup, limits: { tries: 1 }, ...options });
  return (await fetchInto(place, fetchSource, build)).source.base.name;
}

function through(proxy: string, none: string[] = []): Proxies {
  return { http: new URL(proxy), https: new URL(proxy), none };
}

function named(url: string): string {
  return url.replace('127.0.0.1', 'host.example');
}

test('packages and repositories over http are fetched through the proxy, which finds their names', async () => {
  await using proxy = await startProxyServer();
  const proxies = through(proxy.url);
  expect(await fetchBase({ build_package: named(`${server.url}/package`) }, { proxies })).toBe('found');
  expect(proxy.requests).toEqual([`GET ${named(server.url)}/package`]);
  expect(await fetchBase({ git: { url: named(gitServer.url('app')), sha } }, { proxies })).toBe('found');
  expect(proxy.requests[1]).toContain(`GET ${named(gitServer.url('app'))}/info/refs`);
});

test('https goes through a tunnel of the proxy', async () => {
  await using proxy = await startProxyServer();
  const proxies = through(proxy.url);
  // What listens there speaks no TLS: the tunnel is what counts.
  const url = named(`${server.url}/package`).replace('http:', 'https:');
  await refusal(fetchBase({ build_package: url }, { proxies }), 'buildpackissue');
  await refusal(fetchBase({ git: { url, sha } }, { proxies }), 'gitfailure');
  const { port } = new URL(server.url);
  expect(proxy.requests).toEqual([`CONNECT host.example:${port}`, `CONNECT host.example:${port}`]);
});

test('a proxy is given its credentials; without them the failure says so, and shows none', async () => {
  await using proxy = await startProxyServer({ username: 'worker', password: 'p@ss' });
  const right = through(proxy.url.replace('://', '://worker:p%40ss@'));
  const packaged = { build_package: named(`${server.url}/package`) };
  const committed = { git: { url: named(gitServer.url('app')), sha } };
  expect(await fetchBase(packaged, { proxies: right })).toBe('found');
  expect(await fetchBase(committed, { proxies: right })).toBe('found');
  const wrong = through(proxy.url.replace('://', '://worker:wr0ng@'));
  const first = await refusal(fetchBase(packaged, { proxies: wrong }), 'buildpackissue');
  expect(first.message).toMatch(/407|the proxy asks for credentials/);
  const second = await refusal(fetchBase(committed, { proxies: wrong }), 'gitfailure');
  expect(second.message).toContain('407');
  for (const { message } of [first, second]) expect(message).not.toContain('wr0ng');
});

test('what NO_PROXY names is reached without the proxy', async () => {
  await using proxy = await startProxyServer();
  const proxies = through(proxy.url, ['127.0.0.0/8']);
  expect(await fetchBase({ build_package: `${server.url}/package` }, { proxies })).toBe('found');
  expect(await fetchBase({ git: { url: gitServer.url('app'), sha } }, { proxies })).toBe('found');
  expect(proxy.requests).toEqual([]);
});

test('addresses that no build may reach are not asked of a proxy', async () => {
  await using proxy = await startProxyServer();
  const proxies = through(proxy.url);
  const packaged = fetchBase({ build_package: named(`${server.url}/away`) }, { proxies });
  expect((await refusal(packaged, 'buildpackissue')).message).toContain('no build may reach');
  const committed = fetchBase(
    { git: { url: 'http://metadata.example/app.git', sha } },
    {
      proxies,
      lookup: () => Promise.resolve([{ address: '169.254.169.254', family: 4 }]),
    },
  );
  expect((await refusal(committed, 'gitfailure')).message).toContain('no build may reach');
  expect(proxy.requests).toEqual([`GET ${named(server.url)}/away`]);
});

test.each([
  ['http://host.example/', '', true],
  ['http://host.example/', 'host.example', false],
  ['http://sub.host.example/', 'other.example, host.example', false],
  ['http://sub.host.example./', '.host.example', false],
  ['http://sub.host.example/', '*.HOST.example', false],
  ['http://ghost.example/', 'host.example', true],
  ['http://host.example/', 'host.example:8080', true],
  ['http://host.example/', 'host.example:80', false],
  ['https://host.example/', 'host.example:443', false],
  ['http://host.example/', '*', false],
  ['http://10.1.2.3/', '10.0.0.0/8', false],
  ['http://11.1.2.3/', '10.0.0.0/8', true],
  ['http://11.1.2.3/', '11.1.2.3', false],
  ['http://[fd12::1]/', 'fd12::/16', false],
  ['http://[::1]:8080/', '[::1]:8080', false],
  ['http://[::1]/', '::1', false],
  ['http://10.1.2.3/', '10.0.0.0/x,/,:', true],
])('%s with NO_PROXY %j goes through the proxy: %s', (url, none, expected) => {
  const proxies = through('http://proxy.example:3128', readNoProxy(none));
  expect(proxyFor(new URL(url), proxies) !== null).toBe(expected);
});

test('a proxy is an http or https URL, or a host and a port', () => {
  expect(readProxy('proxy.example:3128')?.href).toBe('http://proxy.example:3128/');
  expect(readProxy('https://user:word@proxy.example')?.href).toBe('https://user:word@proxy.example/');
  for (const wrong of ['socks5://proxy.example', 'http://', 'http://proxy.example/path', 'a b']) {
    expect(readProxy(wrong)).toBeUndefined();
  }
});

test('the passwords of proxies are known as written and as they are', () => {
  const http = new URL('http://worker:p%40ss@proxy.example');
  expect(passwordsOf({ http, https: null, none: [] })).toEqual(['p%40ss', 'p@ss']);
});
