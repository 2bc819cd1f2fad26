import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeSshKey, startSshServer, type LabSshServer } from '../../../lab/ssh-server.ts';
import { freePort } from '../../../lab/ports.ts';
import { run } from '../../../lab/process.ts';
import { parseRemote } from '../../../src/contract/git/remote.ts';
import { createSourceFetcher, type SourceFetcherOptions } from '../../../src/worker/source/index.ts';
import { createWorkplace, fetchInto, refusal, type Workplace } from './harness.ts';
import { processesIn } from './processes.ts';

let server: LabSshServer;
let folder: string;
let first: string;
let pinned: SourceFetcherOptions;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'quay-ssh-test-'));
  server = await startSshServer();
  first = await server.commit('app', { Dockerfile: 'FROM first\n', 'bin/run': 'x' });
  await server.commit('app', { Dockerfile: 'FROM second\n' });
  // Names with what ssh would read as more than a name.
  const file = join(folder, "known % 'hosts");
  await writeFile(file, server.knownHost);
  pinned = { knownHosts: { file, pinned: true } };
});
afterAll(async () => {
  await server.stop();
  await rm(folder, { recursive: true });
});

function fetchOver(
  place: Workplace,
  options: SourceFetcherOptions,
  git: { url?: string; sha?: string; private_key?: string } = {},
  signal?: AbortSignal,
) {
  const asked = { url: server.url('app'), sha: first, private_key: server.privateKey, ...git };
  return fetchInto(place, createSourceFetcher(options), { git: asked }, signal);
}

/** Refused; what the user reads holds no line of the key and no path of the worker. */
async function refuse(...[options, git]: [SourceFetcherOptions, { private_key?: string; url?: string }?]) {
  await using place = await createWorkplace();
  const { message } = await refusal(fetchOver(place, options, git), 'gitfailure');
  for (const line of (git?.private_key ?? server.privateKey).split(/\r?\n/)) {
    if (line.length > 8) expect(message).not.toContain(line);
  }
  expect(message).not.toContain(place.outside);
  expect(await readdir(place.directory)).not.toContain('home');
  return message;
}

test('a commit is fetched with the key of the build, from a server that is pinned, and the key does not stay', async () => {
  await using place = await createWorkplace();
  const { source } = await fetchOver(place, pinned);
  expect(source.base.name).toBe('first');
  const head = await run('git', ['log', '--format=%H'], { cwd: source.contextDirectory });
  expect(head.trim()).toBe(first);
  expect(await readdir(place.directory)).toEqual(['context']);
});

test.each([
  [
    'with the line ends of Windows, and none at its end',
    (key: string) => key.trim().replaceAll('\n', '\r\n'),
  ],
  ['between empty lines', (key: string) => `\n\n${key}\n\n`],
])('a key %s is taken', async (_what, spoil) => {
  await using place = await createWorkplace();
  const fetching = fetchOver(place, pinned, { private_key: spoil(server.privateKey) });
  expect((await fetching).source.base.name).toBe('first');
});

test('a key that nobody can read, one with a passphrase, and none at all are told apart', async () => {
  const locked = await makeSshKey(join(folder, 'locked'), '-N', 'a passphrase');
  expect(await refuse(pinned, { private_key: locked })).toContain('protected by a passphrase');
  const half = server.privateKey.slice(0, server.privateKey.length / 2);
  expect(await refuse(pinned, { private_key: half })).toContain('cannot be read');
  expect(await refuse(pinned, { private_key: 'no key\n' })).toContain('cannot be read');
  expect(await refuse(pinned, { private_key: '' })).toContain('needs a key');
});

test('a key that the server does not know opens nothing, whatever keys and agents the machine has', async () => {
  const stranger = await makeSshKey(join(folder, 'stranger'));
  expect(await refuse(pinned, { private_key: stranger })).toContain('does not accept the private key');
});

test('a server that is not pinned, or shows another key than the pinned one, is refused', async () => {
  const file = join(folder, 'others');
  await writeFile(file, server.knownHost.replace('127.0.0.1', '127.0.0.2'));
  const options = { knownHosts: { file, pinned: true } };
  expect(await refuse(options)).toContain('is not among those that are known here');
  // Where nothing is configured, nobody is trusted.
  expect(await refuse({})).toContain('is not among those that are known here');

  await makeSshKey(join(folder, 'impostor'));
  const other = await readFile(join(folder, 'impostor.pub'), 'utf8');
  await writeFile(file, `[127.0.0.1]:${server.port} ${other}`);
  expect(await refuse(options)).toContain('is not the one that is known here');
});

test('trust on first use is told, kept, and holds against another key later', async () => {
  const options = { knownHosts: { file: join(folder, 'first-use'), pinned: false } };
  await using place = await createWorkplace();
  const { messages } = await fetchOver(place, options);
  expect(JSON.stringify(messages)).toContain('Permanently added');
  expect(await readFile(options.knownHosts.file, 'utf8')).toContain(`[127.0.0.1]:${server.port} ssh-ed25519`);

  await using once = await startSshServer();
  await using elsewhere = await createWorkplace();
  const sha = await once.commit('app', { Dockerfile: 'FROM once\n' });
  await fetchOver(elsewhere, options, { url: once.url('app'), sha, private_key: once.privateKey });
  await once.stop();
  await using impostor = await startSshServer({ port: once.port });
  const git = { url: impostor.url('app'), private_key: impostor.privateKey };
  expect(await refuse(options, git)).toContain('is not the one that is known here');
});

test('a repository, a commit and a server that are not there are named', async () => {
  expect(await refuse(pinned, { url: server.url('nothing') })).toContain(
    'does not appear to be a git repository',
  );
  const url = server.url('app').replace(String(server.port), String(await freePort()));
  expect(await refuse(pinned, { url })).toContain('Connection refused');
  await using place = await createWorkplace();
  const sha = '0123456789abcdef0123456789abcdef01234567';
  const { message } = await refusal(fetchOver(place, pinned, { sha }), 'gitcheckout');
  expect(message).toContain('not our ref');
});

test('while it is fetched the key is a file for its owner alone and in no argument; an abort ends git and ssh', async () => {
  await using slow = await startSshServer();
  await using place = await createWorkplace();
  const file = join(place.outside, 'known');
  await writeFile(file, slow.knownHost);
  await slow.fault('hang');
  const abort = new AbortController();
  const git = { url: slow.url('app'), private_key: slow.privateKey };
  const fetching = fetchOver(place, { knownHosts: { file, pinned: true } }, git, abort.signal);
  void fetching.catch(() => undefined);
  await slow.hanging();
  expect((await stat(join(place.directory, 'home/key'))).mode & 0o777).toBe(0o600);
  const commands = (await processesIn(place.outside)).map((each) => each.command).join('\n');
  expect(commands).toMatch(/^ssh /m);
  for (const line of slow.privateKey.trim().split('\n')) expect(commands).not.toContain(line);
  abort.abort(new Error('cancelled'));
  await expect(fetching).rejects.toThrow('cancelled');
  await expect.poll(() => processesIn(place.outside)).toEqual([]);
  expect(await readdir(place.directory)).not.toContain('home');
});

test('a server that hangs is cut off by silence, and neither git nor ssh remains', async () => {
  await using slow = await startSshServer();
  await using place = await createWorkplace();
  const file = join(place.outside, 'known');
  await writeFile(file, slow.knownHost);
  await slow.fault('hang');
  const options = { knownHosts: { file, pinned: true }, limits: { gitSilenceMs: 3000 } };
  const git = { url: slow.url('app'), private_key: slow.privateKey };
  const { message } = await refusal(fetchOver(place, options, git), 'gitfailure');
  expect(message).toContain('git was silent for 3 s');
  await expect.poll(() => processesIn(place.outside)).toEqual([]);
  expect(await readdir(place.directory)).not.toContain('home');
});

test.each([
  ['git@git.example:team/app.git', 'git.example', 22],
  ['git@[2001:db8::1]:team/app.git', '2001:db8::1', 22],
  ['ssh://git@git.example/team/app.git', 'git.example', 22],
  ['ssh://git@git.example:2222/~alice/app.git', 'git.example', 2222],
])('%s is read as ssh reads it', (url, host, port) => {
  expect(parseRemote(url)).toMatchObject({ protocol: 'ssh', url, host, port });
});
