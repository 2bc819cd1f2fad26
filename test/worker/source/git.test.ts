import { readdir, readFile, readlink, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startGitServer, type LabGitServer } from '../../../lab/git-server.ts';
import { freePort } from '../../../lab/ports.ts';
import { run } from '../../../lab/process.ts';
import { createSourceFetcher } from '../../../src/worker/source/index.ts';
import { authority, certificatePem, issue, keyPem, loopback } from '../link/identities.ts';
import { buildOf, createWorkplace, fetchInto, refusal, type Workplace } from './harness.ts';
import { processesIn } from './processes.ts';

const CREDENTIALS = { username: 'alice', password: 's3cret/p@ss' };
const fetchSource = createSourceFetcher();

let server: LabGitServer;
let locked: LabGitServer;
let first: string;
let second: string;
let secret: string;
beforeAll(async () => {
  server = await startGitServer();
  first = await server.commit('app', {
    Dockerfile: 'FROM first\n',
    'bin/run': { content: '#!/bin/sh\n', executable: true },
    run: { link: 'bin/run' },
  });
  second = await server.commit('app', { Dockerfile: 'FROM second\n' });
  locked = await startGitServer({ credentials: CREDENTIALS });
  secret = await locked.commit('app', { Dockerfile: 'FROM secret\n' });
});
afterAll(async () => {
  await server.stop();
  await locked.stop();
});

function withCredentials(url: string, { username, password } = CREDENTIALS): string {
  return url.replace('://', `://${username}:${encodeURIComponent(password)}@`);
}

const USUAL_MODES = {
  '.': 0o755,
  Dockerfile: 0o644,
  bin: 0o755,
  'bin/run': 0o755,
  '.git': 0o755,
  '.git/HEAD': 0o644,
  '.git/config': 0o644,
  '.git/refs': 0o755,
};

async function modesIn(context: string): Promise<Record<string, number>> {
  const modeOf = async (name: string): Promise<number> => (await stat(join(context, name))).mode & 0o777;
  const modes = Object.keys(USUAL_MODES).map(async (name): Promise<[string, number]> => [
    name,
    await modeOf(name),
  ]);
  return Object.fromEntries(await Promise.all(modes));
}

test.each(['000', '077'])(
  'the modes of a checkout are the usual ones, whatever the umask is (%s)',
  async (octal) => {
    const umask = Number.parseInt(octal, 8);
    const own = process.umask(umask);
    try {
      await using place = await createWorkplace();
      const { source } = await fetchInto(place, fetchSource, { git: { url: server.url('app'), sha: first } });
      expect(await modesIn(source.contextDirectory)).toEqual(USUAL_MODES);
      expect(process.umask(umask)).toBe(umask);
    } finally {
      process.umask(own);
    }
  },
);

test('a commit is checked out exactly, with modes, links and its .git', async () => {
  await using place = await createWorkplace();
  const { source, messages } = await fetchInto(place, fetchSource, {
    git: { url: server.url('app'), sha: first },
  });
  const context = source.contextDirectory;
  expect(source.base.name).toBe('first');
  expect(await modesIn(context)).toEqual(USUAL_MODES);
  expect(await readlink(join(context, 'run'))).toBe('bin/run');
  expect((await run('git', ['rev-parse', 'HEAD'], { cwd: context })).trim()).toBe(first);
  expect((await run('git', ['status', '--porcelain'], { cwd: context })).trim()).toBe('');
  expect(messages.some((each) => each.stream?.startsWith('remote: '))).toBe(true);
});

test.each([
  ['*.bin filter=lfs diff=lfs merge=lfs -text\n', true],
  ['# *.bin filter=lfs\n*.txt filter=lfsx\n', false],
])(
  'the log says that content is not fetched which is kept in Git LFS: by attributes %j, %s',
  async (attributes, said) => {
    const sha = await server.commit('large', { Dockerfile: 'FROM a\n', '.gitattributes': attributes });
    await using place = await createWorkplace();
    const { messages } = await fetchInto(place, fetchSource, { git: { url: server.url('large'), sha } });
    expect(messages.some(({ stream }) => stream?.includes('Git LFS'))).toBe(said);
  },
);

test('an https server is checked by the authorities that are named, and by no other', async () => {
  const ca = await authority('of git servers');
  const identity = await issue(ca, loopback);
  await using place = await createWorkplace();
  const file = join(place.outside, 'authorities.pem');
  await writeFile(file, certificatePem(ca));
  await using secure = await startGitServer({
    tls: { key: await keyPem(identity), cert: certificatePem(identity) },
  });
  const sha = await secure.commit('app', { Dockerfile: 'FROM trusted\n' });
  const git = { url: secure.url('app'), sha };
  const error = await refusal(fetchInto(place, fetchSource, { git }), 'gitfailure');
  expect(error.message).toContain('certificate');
  await using other = await createWorkplace();
  const trusting = createSourceFetcher({ gitAuthorities: file });
  expect((await fetchInto(other, trusting, { git })).source.base.name).toBe('trusted');
});

test('git wins over a package', async () => {
  await using place = await createWorkplace();
  const build = {
    git: { url: server.url('app'), sha: second.toUpperCase() },
    build_package: 'http://127.0.0.1:1/',
  };
  expect((await fetchInto(place, fetchSource, build)).source.base.name).toBe('second');
});

test('a server that gives only tips is fetched from whole', async () => {
  await using old = await startGitServer({ oldProtocol: true });
  await using place = await createWorkplace();
  const sha = await old.commit('app', { Dockerfile: 'FROM old\n' });
  await old.commit('app', { Dockerfile: 'FROM new\n' });
  const { source } = await fetchInto(place, fetchSource, { git: { url: old.url('app'), sha } });
  expect(source.base.name).toBe('old');

  await using other = await createWorkplace();
  const fetching = fetchInto(other, fetchSource, { git: { url: old.url('app'), sha: first } });
  expect((await refusal(fetching, 'gitcheckout')).message).toContain(first);
});

async function refuseGit(
  code: 'gitfailure' | 'gitcheckout',
  url: string,
  sha: string,
  limits = {},
): Promise<string> {
  await using place = await createWorkplace();
  const fetching = fetchInto(place, createSourceFetcher({ limits }), { git: { url, sha } });
  const { message } = await refusal(fetching, code);
  expect(await place.leftOutside()).toEqual([]);
  return message;
}

test('a commit that does not exist is named', async () => {
  const missing = '0123456789abcdef0123456789abcdef01234567';
  expect(await refuseGit('gitcheckout', server.url('app'), missing)).toBe(
    `Commit ${missing} of ${server.url('app')}: remote error: upload-pack: not our ref ${missing}`,
  );
});

test.each([
  { username: 'u', password: 'TOKEN' },
  { username: 'ref', password: 'x' },
  { username: 'e', password: '' },
])('words stay whole beside short credentials and a user name: %j', async (credentials) => {
  const missing = '0123456789abcdef0123456789abcdef01234567';
  expect(await refuseGit('gitcheckout', withCredentials(server.url('app'), credentials), missing)).toContain(
    `remote error: upload-pack: not our ref ${missing}`,
  );
});

test.each(['main', 'HEAD', 'abc123', '--upload-pack=touch /tmp/x', `${'0'.repeat(39)}\n`, ''])(
  'the commit id %j is refused',
  async (sha) => {
    expect(await refuseGit('gitcheckout', server.url('app'), sha)).toContain('is no commit id');
  },
);

test.each([
  ['--upload-pack=touch /tmp/x', 'begins with a dash'],
  ['-oProxyCommand=x', 'begins with a dash'],
  ['http://host/x\nhost=evil', 'control characters'],
  ['http://a%0ahost=evil:b@host/x', 'hold control characters'],
  ['http://host/app.git?token=1', 'has a query'],
  ['file:///etc', 'the scheme "file:"'],
  ['/srv/git/app.git', 'Give an http, https or ssh URL'],
  ['ext::sh -c touch% /tmp/x', 'Give an http, https or ssh URL'],
  ['a@ext::sh -c touch% /tmp/x', 'Give an http, https or ssh URL'],
  ['git://host/app.git', 'the scheme "git:"'],
  ['ftp://host/app.git', 'the scheme "ftp:"'],
  ['host:team/app.git', 'Give an http, https or ssh URL'],
  ['ssh://host/app.git', 'names no user'],
  ['ssh://git:secret@host/app.git', 'has a password'],
  ['ssh://git@-oProxyCommand=x/app.git', 'is no host name'],
  ['ssh://-oProxyCommand=x@host/app.git', 'names no user, or an odd one'],
  ['ssh://git@host', 'has no path'],
  ['ssh://git@host/app.git?x', 'has a query'],
  ['git@-oProxyCommand=x:app.git', 'is no host name'],
  ['git@host:-x', 'begins with a dash'],
  ['git@a b:app.git', 'is no host name'],
])('the URL %j is refused', async (url, message) => {
  expect(await refuseGit('gitfailure', url, first)).toContain(message);
});

test('a repository that does not exist, and a server that is not there, are named', async () => {
  expect(await refuseGit('gitfailure', server.url('nothing'), first)).toContain('not found');
  const port = await freePort();
  expect(await refuseGit('gitfailure', `http://127.0.0.1:${port}/app.git`, first)).toMatch(
    /Failed to connect|refused/i,
  );
});

test('a reader of the log that fails ends the fetching with its own error', async () => {
  await using place = await createWorkplace();
  const fetching = fetchSource(buildOf({ git: { url: server.url('app'), sha: first } }), {
    directory: place.directory,
    signal: new AbortController().signal,
    onMessage: () => Promise.reject(new Error('the manager is gone')),
  });
  await expect(fetching).rejects.toThrow('the manager is gone');
});

test('a program that cannot be started is the worker’s failure, not the user’s', async () => {
  await using place = await createWorkplace();
  const fetching = fetchInto(place, createSourceFetcher({ git: 'no-such-git' }), {
    git: { url: server.url('app'), sha: first },
  });
  await refusal(fetching, 'internalerror');
});

test('credentials of the URL open a repository, and stay out of what is checked out', async () => {
  await using place = await createWorkplace();
  const url = withCredentials(locked.url('app'));
  const { source, messages } = await fetchInto(place, fetchSource, { git: { url, sha: secret } });
  expect(source.base.name).toBe('secret');
  const config = await readFile(join(source.contextDirectory, '.git/config'), 'utf8');
  const seen = `${config} ${JSON.stringify(messages)} ${await run('grep', ['-r', '-c', '', source.contextDirectory])}`;
  for (const part of ['alice', 's3cret', 'p@ss', 'p%40ss']) expect(seen).not.toContain(part);
});

test.each([
  ['without credentials', null],
  ['with wrong ones', { username: 'alice', password: 'wr0ng/p@ss' }],
])(
  'a repository that asks for credentials is not opened %s, and none are shown',
  async (_what, credentials) => {
    const url = credentials ? withCredentials(locked.url('app'), credentials) : locked.url('app');
    const message = await refuseGit('gitfailure', url, secret);
    expect(message).toMatch(/Authentication failed|could not read Username/);
    for (const part of ['alice', 'wr0ng', 'p@ss', 'p%40ss']) expect(message).not.toContain(part);
  },
);

test('credentials are not offered to where a server redirects', async () => {
  await using other = await startGitServer({ credentials: CREDENTIALS });
  await using redirecting = await startGitServer();
  redirecting.fault({ redirect: other.origin });
  await other.commit('app', { Dockerfile: 'FROM other\n' });
  const message = await refuseGit('gitfailure', withCredentials(redirecting.url('app')), secret);
  expect(message).toContain('could not read Username');
});

async function hang(use: (server: LabGitServer, place: Workplace) => Promise<void>): Promise<void> {
  await using slow = await startGitServer();
  await using place = await createWorkplace();
  slow.fault('hang');
  await use(slow, place);
  await expect.poll(() => processesIn(place.outside)).toEqual([]);
}

test('credentials are in no argument of a process', async () => {
  await hang(async (slow, place) => {
    const abort = new AbortController();
    const asked = slow.requested();
    const url = withCredentials(slow.url('app'));
    const fetching = fetchInto(place, fetchSource, { git: { url, sha: first } }, abort.signal);
    void fetching.catch(() => undefined);
    await asked;
    const running = await processesIn(place.outside);
    const commands = running.map((each) => each.command).join('\n');
    expect(commands).toContain('git-remote-http');
    for (const part of ['alice', 's3cret', 'p@ss', 'p%40ss']) expect(commands).not.toContain(part);
    abort.abort(new Error('enough'));
    await expect(fetching).rejects.toThrow('enough');
  });
});

test('an abort ends git and all that it started, with its own reason', async () => {
  await hang(async (slow, place) => {
    const abort = new AbortController();
    const asked = slow.requested();
    const git = { url: slow.url('app'), sha: first };
    const fetching = fetchInto(place, fetchSource, { git }, abort.signal);
    void asked.then(() => abort.abort(new Error('cancelled')));
    await expect(fetching).rejects.toThrow('cancelled');
  });
});

test('a server that sends nothing is cut off, by curl and by silence', async () => {
  await hang(async (slow, place) => {
    const fetching = fetchInto(place, createSourceFetcher({ limits: { stallMs: 1000 } }), {
      git: { url: slow.url('app'), sha: first },
    });
    expect((await refusal(fetching, 'gitfailure')).message).toMatch(/too slow/i);
  });
  await hang(async (slow, place) => {
    const fetching = fetchInto(place, createSourceFetcher({ limits: { gitSilenceMs: 500 } }), {
      git: { url: slow.url('app'), sha: first },
    });
    expect((await refusal(fetching, 'gitfailure')).message).toContain('git was silent for 500 ms');
  });
});

test('nothing of the machine’s or the worker’s own configuration reaches git', async () => {
  await using place = await createWorkplace();
  const before = { ...process.env };
  try {
    Object.assign(process.env, {
      GIT_DIR: '/nonexistent',
      GIT_CONFIG_PARAMETERS: "'core.bare=true'",
      GIT_TEMPLATE_DIR: '/nonexistent',
      GIT_SSH_COMMAND: 'touch /tmp/x',
    });
    const { source } = await fetchInto(place, createSourceFetcher(), {
      git: { url: server.url('app'), sha: first },
    });
    expect(source.base.name).toBe('first');
    expect(await readdir(join(source.contextDirectory, '.git'))).not.toContain('hooks');
  } finally {
    process.env = before;
  }
});
