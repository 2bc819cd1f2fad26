import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startGitServer, type LabGitServer } from '../../../lab/git-server.ts';
import { startPackageServer, type LabPackageServer } from '../../../lab/package-server.ts';
import { startSshServer } from '../../../lab/ssh-server.ts';
import type { Lookup } from '../../../src/contract/network/addresses.ts';
import { createSourceFetcher, type SourceFetcherOptions } from '../../../src/worker/source/index.ts';
import type { BuildArgumentsMessage } from '../../../src/contract/build-arguments.ts';
import { createWorkplace, fetchInto, refusal, waitLess } from './harness.ts';

const METADATA = '169.254.169.254';

let server: LabPackageServer;
let gitServer: LabGitServer;
let sha: string;
beforeAll(async () => {
  server = await startPackageServer();
  server.serve('/package', { kind: 'bytes', body: Buffer.from('FROM found\n'), contentType: 'text/plain' });
  gitServer = await startGitServer();
  sha = await gitServer.commit('app', { Dockerfile: 'FROM found\n' });
});
afterAll(async () => {
  await server.stop();
  await gitServer.stop();
});

/** Names that only this resolver knows; it gives its answers in turn, the last one for ever. */
function answering(...answers: string[]): Lookup {
  return () => {
    const address = (answers.length > 1 ? answers.shift() : answers[0]) ?? '';
    return Promise.resolve([{ address, family: 4 }]);
  };
}

async function fetchBase(
  build: Partial<BuildArgumentsMessage>,
  options: SourceFetcherOptions,
): Promise<string> {
  await using place = await createWorkplace();
  const { source } = await fetchInto(place, createSourceFetcher({ wait: waitLess, ...options }), build);
  return source.base.name;
}

async function refusePackage(url: string, options: SourceFetcherOptions = {}): Promise<string> {
  const { message } = await refusal(fetchBase({ build_package: url }, options), 'buildpackissue');
  expect(message).not.toContain('tried');
  return message;
}

async function refuseGit(url: string, options: SourceFetcherOptions = {}, private_key = ''): Promise<string> {
  return (await refusal(fetchBase({ git: { url, sha, private_key } }, options), 'gitfailure')).message;
}

test.each([
  METADATA,
  '2852039166',
  '0xa9fea9fe',
  '0251.0376.0251.0376',
  '[::ffff:a9fe:a9fe]',
  '[fe80::1]',
  '[fd00:ec2::254]',
])('neither a package nor a repository is fetched from %s', async (host) => {
  expect(await refusePackage(`http://${host}/latest`)).toContain('no build may reach');
  expect(await refuseGit(`http://${host}/app.git`)).toContain('no build may reach');
  expect(await refuseGit(`ssh://git@${host}/app.git`)).toContain('no build may reach');
});

test('a redirect does not lead where the URL itself may not', async () => {
  server.serve('/away', { kind: 'status', status: 302, location: `http://${METADATA}/latest/meta-data` });
  expect(await refusePackage(`${server.url}/away`)).toContain('no build may reach');
  await using redirecting = await startGitServer();
  redirecting.fault({ redirect: `http://${METADATA}` });
  expect(await refuseGit(redirecting.url('app'))).toContain('no build may reach');
});

test('git follows a redirect to where it may, and gives up a circle', async () => {
  await using redirecting = await startGitServer();
  redirecting.fault({ redirect: gitServer.origin });
  expect(await fetchBase({ git: { url: redirecting.url('app'), sha } }, {})).toBe('found');
  redirecting.fault({ redirect: redirecting.origin });
  expect(await refuseGit(redirecting.url('app'))).toContain('redirects more than 10 times');
});

test('a submodule does not lead there either', async () => {
  const bad = await gitServer.commit('bad', { lib: { submodule: `http://${METADATA}/lib.git`, sha } });
  const fetching = fetchBase({ git: { url: gitServer.url('bad'), sha: bad } }, {});
  expect((await refusal(fetching, 'gitcheckout')).message).toContain('no build may reach');
});

test('private addresses are refused where the worker says so, but for those that it allows', async () => {
  for (const privateAddresses of [[], ['10.0.0.0/8']]) {
    expect(await refusePackage(`${server.url}/package`, { privateAddresses })).toContain('a private address');
    expect(await refuseGit(gitServer.url('app'), { privateAddresses })).toContain('a private address');
    expect(await refuseGit('git@localhost:app.git', { privateAddresses })).toContain('a private address');
  }
  const options = { privateAddresses: ['127.0.0.0/8'] };
  expect(await fetchBase({ build_package: `${server.url}/package` }, options)).toBe('found');
  expect(await fetchBase({ git: { url: gitServer.url('app'), sha } }, options)).toBe('found');
});

test('a name is connected to at the address that was looked at', async () => {
  const named = (url: string): string => url.replace('127.0.0.1', 'host.example');
  const lookup = answering('127.0.0.1');
  expect(await fetchBase({ build_package: named(`${server.url}/package`) }, { lookup })).toBe('found');
  expect(await fetchBase({ git: { url: named(gitServer.url('app')), sha } }, { lookup })).toBe('found');

  await using ssh = await startSshServer();
  await using place = await createWorkplace();
  const file = join(place.outside, 'known');
  await writeFile(file, named(ssh.knownHost));
  const git = {
    url: named(ssh.url('app')),
    sha: await ssh.commit('app', { Dockerfile: 'FROM secret\n' }),
    private_key: ssh.privateKey,
  };
  expect(await fetchBase({ git }, { lookup, knownHosts: { file, pinned: true } })).toBe('secret');
});

test('a name that changes its address after it was looked at leads nowhere', async () => {
  const { port } = new URL(server.url);
  const lookup = answering('127.0.0.1', METADATA);
  expect(await refusePackage(`http://host.example:${port}/package`, { lookup })).toContain(
    'no build may reach',
  );
});

test('a host that has no address is named', async () => {
  const lookup: Lookup = () =>
    Promise.reject(Object.assign(new Error('no'), { code: 'ENOTFOUND', syscall: 'x' }));
  expect(await refuseGit('https://host.example/app.git', { lookup })).toContain(
    'the host host.example could not be found (ENOTFOUND)',
  );
});
