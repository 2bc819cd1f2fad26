import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startGitServer, type LabGitServer } from '../../../lab/git-server.ts';
import { run } from '../../../lab/process.ts';
import { startProxyServer } from '../../../lab/proxy-server.ts';
import { makeSshKey, startSshServer, type LabSshServer } from '../../../lab/ssh-server.ts';
import { createAddressGuard, type Lookup } from '../../../src/contract/network/addresses.ts';
import { noProxies, type Proxies } from '../../../src/contract/network/proxies.ts';
import { ApiProblem, type ProblemCode } from '../../../src/manager/http/problems.ts';
import { readGitUrl } from '../../../src/manager/submission/source-url.ts';
import { processesIn } from '../../worker/source/processes.ts';
import { startRefResolver, type TestRefResolver } from '../support/refs.ts';

/** How the manager gets to git servers to look up refs: over ssh, through proxies, and where it does not go. */

let http: LabGitServer;
let ssh: LabSshServer;
let commit: string;
let sshCommit: string;
beforeAll(async () => {
  http = await startGitServer();
  commit = await http.commit('app', { Dockerfile: 'FROM scratch\n' });
  ssh = await startSshServer();
  sshCommit = await ssh.commit('app', { Dockerfile: 'FROM scratch\n' });
});
afterAll(async () => {
  await http.stop();
  await ssh.stop();
});

/** Refused with this code; nothing of the key is shown, and nothing of it stays. */
async function refuse(
  refs: TestRefResolver,
  code: ProblemCode,
  url: string,
  privateKey = '',
): Promise<string> {
  const error: unknown = await refs.resolveRef(readGitUrl(url), 'main', privateKey).then(
    () => null,
    (reason: unknown) => reason,
  );
  if (!(error instanceof ApiProblem)) expect.fail(`expected ${code}, got ${String(error)}`);
  const said = JSON.stringify(error.toProblem());
  expect(said).toContain(`"code":"${code}"`);
  for (const line of privateKey.split(/\r?\n/)) if (line.length > 8) expect(said).not.toContain(line);
  expect(said).not.toContain(refs.directory);
  expect(await refs.left()).toEqual([]);
  return error.message;
}

it('refs over ssh are looked up with the key of the build, which does not stay', async () => {
  await using refs = await startRefResolver();
  for (const ref of [null, 'main', 'refs/heads/main']) {
    expect(await refs.resolveRef(readGitUrl(ssh.url('app')), ref, ssh.privateKey)).toBe(sshCommit);
  }
  expect(await refs.left()).toEqual([]);
  await expect(refs.resolveRef(readGitUrl(ssh.url('app')), 'none', ssh.privateKey)).rejects.toMatchObject({
    code: 'git_ref_not_found',
  });
});

it('a key that is of no use, one that the server does not know, and a repository that is not there are told apart', async () => {
  await using refs = await startRefResolver();
  const url = ssh.url('app');
  expect(await refuse(refs, 'git_key_refused', url, '')).toContain('needs a key');
  expect(await refuse(refs, 'git_key_refused', url, 'no key\n')).toContain('cannot be read');
  const folder = join(refs.directory, '..');
  const locked = await makeSshKey(join(folder, 'locked'), '-N', 'a passphrase');
  expect(await refuse(refs, 'git_key_refused', url, locked)).toContain('passphrase');
  const stranger = await makeSshKey(join(folder, 'stranger'));
  expect(await refuse(refs, 'git_denied', url, stranger)).toContain('does not accept the private key');
  await refuse(refs, 'git_denied', ssh.url('nothing'), ssh.privateKey);
});

it('a server whose host key is not pinned, or changed since it was trusted, is refused', async () => {
  await using refs = await startRefResolver();
  await writeFile(refs.trustedFile, ssh.knownHost.replace('127.0.0.1', '127.0.0.2'));
  const knownHosts = { file: refs.trustedFile, pinned: true };
  await using pinned = await startRefResolver({ access: { knownHosts } });
  expect(await refuse(pinned, 'git_host_refused', ssh.url('app'), ssh.privateKey)).toContain(
    'not among those',
  );
  await writeFile(refs.trustedFile, ssh.knownHost);
  expect(await pinned.resolveRef(readGitUrl(ssh.url('app')), 'main', ssh.privateKey)).toBe(sshCommit);

  await using first = await startSshServer();
  await first.commit('app', { file: 'first' });
  await using trusting = await startRefResolver();
  await trusting.resolveRef(readGitUrl(first.url('app')), 'main', first.privateKey);
  await first.stop();
  await using impostor = await startSshServer({ port: first.port });
  const words = await refuse(trusting, 'git_host_refused', impostor.url('app'), impostor.privateKey);
  expect(words).toContain('is not the one that is known here');
});

it('addresses that nothing may reach are refused: in a URL, by a name, behind a redirect', async () => {
  const lookup: Lookup = () => Promise.resolve([{ address: '169.254.169.254', family: 4 }]);
  const guarded = { network: { guard: createAddressGuard('all', lookup), proxies: noProxies } };
  await using refs = await startRefResolver({ access: guarded });
  await using redirecting = await startGitServer();
  redirecting.fault({ redirect: 'http://169.254.169.254' });
  for (const url of [
    'http://169.254.169.254/app.git',
    'ssh://git@169.254.169.254/app.git',
    'https://metadata.example/app.git',
    'git@metadata.example:app.git',
    redirecting.url('app'),
  ]) {
    expect(await refuse(refs, 'git_host_refused', url, ssh.privateKey)).toContain('no build may reach');
  }
});

it('private addresses are refused where the manager says so', async () => {
  const network = { guard: createAddressGuard([]), proxies: noProxies };
  await using refs = await startRefResolver({ access: { network } });
  expect(await refuse(refs, 'git_host_refused', http.url('app'))).toContain('a private address');
  expect(await refuse(refs, 'git_host_refused', ssh.url('app'), ssh.privateKey)).toContain(
    'a private address',
  );
});

it('redirects are followed, and a circle of them is not', async () => {
  await using refs = await startRefResolver();
  await using redirecting = await startGitServer();
  redirecting.fault({ redirect: http.origin });
  expect(await refs.resolveRef(readGitUrl(redirecting.url('app')), 'main', '')).toBe(commit);
  redirecting.fault({ redirect: redirecting.origin });
  expect(await refuse(refs, 'git_unreachable', redirecting.url('app'))).toContain('redirects too often');
});

it('refs over http are looked up through the proxy, whose password no refusal shows', async () => {
  await using proxy = await startProxyServer({ username: 'manager', password: 'p@ss' });
  const lookup: Lookup = () =>
    Promise.reject(Object.assign(new Error('no such name'), { code: 'ENOTFOUND' }));
  const through = (user: string): Proxies => {
    const url = new URL(proxy.url.replace('://', `://${user}@`));
    return { http: url, https: url, none: [] };
  };
  const guard = createAddressGuard('all', lookup);
  const url = http.url('app').replace('127.0.0.1', 'git.example');
  await using refs = await startRefResolver({
    access: { network: { guard, proxies: through('manager:p%40ss') } },
  });
  expect(await refs.resolveRef(readGitUrl(url), 'main', '')).toBe(commit);
  expect(proxy.requests[0]).toContain(`GET ${url}/info/refs`);
  await using wrong = await startRefResolver({
    access: { network: { guard, proxies: through('manager:wr0ng') } },
  });
  expect(await refuse(wrong, 'git_unreachable', url)).not.toContain('wr0ng');
});

it('a server that never answers is left, and no process of git and ssh with it', async () => {
  await using slow = await startGitServer();
  slow.fault('hang');
  await using slowSsh = await startSshServer();
  await slowSsh.fault('hang');
  await using refs = await startRefResolver({ limits: { gitSilenceMs: 3000 } });
  expect(await refuse(refs, 'git_unreachable', slow.url('app'))).toContain('silent for 3 s');
  expect(await refuse(refs, 'git_unreachable', slowSsh.url('app'), slowSsh.privateKey)).toContain('silent');
  await expect.poll(() => processesIn(refs.directory)).toEqual([]);
});

it('a server that is too slow as a whole, and a manager that stops, end what is under way', async () => {
  await using slow = await startGitServer();
  slow.fault('hang');
  await using hurried = await startRefResolver({ withinMs: 500 });
  expect(await refuse(hurried, 'git_unreachable', slow.url('app'))).toContain('It took too long.');
  await expect.poll(() => processesIn(hurried.directory)).toEqual([]);

  const stopping = new AbortController();
  await using refs = await startRefResolver({ signal: stopping.signal });
  const asked = slow.requested();
  const refused = refuse(refs, 'git_unreachable', slow.url('app'));
  await asked;
  stopping.abort();
  expect(await refused).toContain('This manager is stopping.');
  await expect.poll(() => processesIn(refs.directory)).toEqual([]);
});

it('beyond what is looked up at once, and what may wait, the next is refused and told when to come again', async () => {
  await using slow = await startGitServer();
  slow.fault('hang');
  await using refs = await startRefResolver({ atOnce: 1, waitingMax: 1 });
  const asked = slow.requested();
  const hanging = refs.resolveRef(readGitUrl(slow.url('app')), 'main', '').catch((error: unknown) => error);
  await asked;
  const waiting = refs.resolveRef(readGitUrl(http.url('app')), 'main', '');
  await expect(refs.resolveRef(readGitUrl(http.url('app')), 'main', '')).rejects.toMatchObject({
    code: 'git_busy',
    status: 503,
    retryAfterSeconds: 10,
  });
  // A whole commit id needs no looking up.
  expect(await refs.resolveRef(readGitUrl(http.url('app')), commit, '')).toBe(commit);
  await slow.stop();
  expect(await waiting).toBe(commit);
  expect(await hanging).toMatchObject({ code: 'git_unreachable' });
});

it('the key is a file for its owner alone, and in no argument of a process', async () => {
  await using slow = await startSshServer();
  await slow.fault('hang');
  const stopping = new AbortController();
  await using refs = await startRefResolver({ signal: stopping.signal });
  const refused = refuse(refs, 'git_unreachable', slow.url('app'), slow.privateKey);
  await slow.hanging();
  const mode = await run('find', [refs.directory, '-name', 'key', '-printf', '%m']);
  expect(mode).toBe('600');
  const commands = (await processesIn(refs.directory)).map((each) => each.command).join('\n');
  expect(commands).toMatch(/^ssh /m);
  for (const line of slow.privateKey.trim().split('\n')) expect(commands).not.toContain(line);
  stopping.abort();
  await refused;
});
