import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startGitServer, type LabGitServer } from '../../../lab/git-server.ts';
import { run } from '../../../lab/process.ts';
import { startSshServer } from '../../../lab/ssh-server.ts';
import { parseRemote } from '../../../src/contract/git/remote.ts';
import { submoduleUrl } from '../../../src/worker/source/git/submodules.ts';
import { createSourceFetcher } from '../../../src/worker/source/index.ts';
import { createWorkplace, fetchInto, refusal, type Workplace } from './harness.ts';

const CREDENTIALS = { username: 'alice', password: 's3cret/p@ss' };

let server: LabGitServer;
let locked: LabGitServer;
let lib: string;
beforeAll(async () => {
  server = await startGitServer();
  locked = await startGitServer({ credentials: CREDENTIALS });
  lib = await server.commit('lib', { file: 'of the library' });
  await server.commit('lib', { file: 'newer' });
});
afterAll(async () => {
  await server.stop();
  await locked.stop();
});

const fetchSource = createSourceFetcher();

function content(place: Workplace, path: string): Promise<string> {
  return readFile(join(place.directory, 'context', path), 'utf8');
}

async function refuse(url: string, sha: string, limits = {}): Promise<string> {
  await using place = await createWorkplace();
  const fetching = fetchInto(place, createSourceFetcher({ limits }), { git: { url, sha } });
  const { message } = await refusal(fetching, 'gitcheckout');
  expect(await place.leftOutside()).toEqual([]);
  return message;
}

test('submodules are checked out at their commits, also those of submodules', async () => {
  const middle = await server.commit('middle', { 'deep/lib': { submodule: '../lib.git', sha: lib } });
  const sha = await server.commit('app', {
    Dockerfile: 'FROM app\n',
    middle: { submodule: server.url('middle'), sha: middle },
  });
  await using place = await createWorkplace();
  const { source } = await fetchInto(place, fetchSource, { git: { url: server.url('app'), sha } });
  expect(await content(place, 'middle/deep/lib/file')).toBe('of the library');
  const cwd = join(source.contextDirectory, 'middle/deep/lib');
  expect((await run('git', ['rev-parse', 'HEAD'], { cwd })).trim()).toBe(lib);
  expect(await run('git', ['status', '--porcelain'], { cwd: source.contextDirectory })).toBe('');
});

test('credentials open submodules of the same server, and are offered to no other', async () => {
  const secret = await locked.commit('lib', { file: 'secret' });
  const near = await locked.commit('app', {
    Dockerfile: 'FROM app\n',
    lib: { submodule: '../lib.git', sha: secret },
  });
  const userinfo = `${CREDENTIALS.username}:${encodeURIComponent(CREDENTIALS.password)}`;
  const url = locked.url('app').replace('://', `://${userinfo}@`);
  await using place = await createWorkplace();
  await fetchInto(place, fetchSource, { git: { url, sha: near } });
  expect(await content(place, 'lib/file')).toBe('secret');
  expect(await content(place, 'lib/.git/config')).not.toContain('alice');

  await using other = await startGitServer({ credentials: CREDENTIALS });
  const foreign = await other.commit('lib', { file: 'foreign' });
  const sha = await locked.commit('far', {
    Dockerfile: 'FROM app\n',
    lib: { submodule: other.url('lib'), sha: foreign },
  });
  const message = await refuse(url.replace('app.git', 'far.git'), sha);
  expect(message).toMatch(/^Submodule "lib": .*could not read Username/);
  expect(message).not.toContain('s3cret');
});

test('the key of the build opens submodules over ssh', async () => {
  await using ssh = await startSshServer();
  await using place = await createWorkplace();
  const file = join(place.outside, 'known');
  await writeFile(file, ssh.knownHost);
  const sha = await ssh.commit('app', {
    Dockerfile: 'FROM app\n',
    lib: { submodule: '../lib.git', sha: await ssh.commit('lib', { file: 'over ssh' }) },
  });
  const git = { url: ssh.url('app'), sha, private_key: ssh.privateKey };
  await fetchInto(place, createSourceFetcher({ knownHosts: { file, pinned: true } }), { git });
  expect(await content(place, 'lib/file')).toBe('over ssh');
});

test.each([
  'file:///etc',
  '/srv/git/lib.git',
  'ext::sh -c touch% /tmp/x',
  '-oProxyCommand=x',
  '../../../lib.git',
])('a submodule of the URL %j is refused', async (submodule) => {
  const sha = await server.commit('bad', { Dockerfile: 'FROM app\n', lib: { submodule, sha: lib } });
  expect(await refuse(server.url('bad'), sha)).toMatch(/^Submodule "lib": .*|leads out of its server/);
});

test('a submodule that is not there, or whose commit is not, fails by its path', async () => {
  const gone = await server.commit('gone', { 'a/b': { submodule: '../none.git', sha: lib } });
  expect(await refuse(server.url('gone'), gone)).toMatch(/^Submodule "a\/b": .*not found/);
  const missing = '0123456789abcdef0123456789abcdef01234567';
  const sha = await server.commit('missing', { lib: { submodule: '../lib.git', sha: missing } });
  expect(await refuse(server.url('missing'), sha)).toContain(`Commit ${missing}`);
});

test('too many submodules, or too deep ones, are not fetched', async () => {
  const deep = await server.commit('deep1', { lib: { submodule: '../lib.git', sha: lib } });
  const sha = await server.commit('deep2', { a: { submodule: '../deep1.git', sha: deep } });
  expect(await refuse(server.url('deep2'), sha, { submoduleDepth: 1 })).toMatch(
    /^Submodule "a\/lib": at most/,
  );
  expect(await refuse(server.url('deep2'), sha, { submodules: 1 })).toMatch(/^Submodule "a\/lib": at most 1/);
});

test('a .gitmodules that includes a file of the machine reads nothing of it', async () => {
  const include = await server.commit('include', {
    Dockerfile: 'FROM included\n',
    '.gitmodules': '[include]\n\tpath = /etc/passwd\n[submodule "x"]\n\tpath = x\n\turl = ../lib.git\n',
  });
  await using place = await createWorkplace();
  // A path that the commit has no submodule at is nothing to fetch.
  const git = { url: server.url('include'), sha: include };
  expect((await fetchInto(place, fetchSource, { git })).source.base.name).toBe('included');
});

test.each([
  ['http://host:8080/team/app.git', '../lib.git', 'http://host:8080/team/lib.git'],
  ['https://host/team/app.git/', './lib.git', 'https://host/team/app.git/lib.git'],
  ['ssh://git@host:22/team/app.git', '../../other/lib', 'ssh://git@host:22/other/lib'],
  ['git@host:team/app.git', '../lib.git', 'git@host:team/lib.git'],
  ['git@host:app.git', '../lib.git', 'git@host:lib.git'],
  ['git@[::1]:/srv/app.git', '../lib.git', 'git@[::1]:/srv/lib.git'],
  ['https://host/app.git', 'git@host:lib.git', 'git@host:lib.git'],
])('in %s the submodule %s is %s', (parent, url, expected) => {
  expect(submoduleUrl(parseRemote(parent), url)).toBe(expected);
});
