import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startGitServer, type LabGitServer } from '../../../lab/git-server.ts';
import { run } from '../../../lab/process.ts';
import { portOf } from '../../../src/manager/listen.ts';
import { ApiProblem } from '../../../src/manager/http/problems.ts';
import type { ResolveRef } from '../../../src/manager/submission/resolve-ref.ts';
import { readGitUrl, type SourceUrl } from '../../../src/manager/submission/source-url.ts';
import { startRefResolver, type TestRefResolver } from '../support/refs.ts';

const credentials = { username: 'alice', password: 'p@ss:word/é' };
let open: LabGitServer;
let closed: LabGitServer;
let commit: string;
let refs: TestRefResolver;
const resolveRef = (url: SourceUrl, ref: string | null): ReturnType<ResolveRef> =>
  refs.resolveRef(url, ref, '');
beforeAll(async () => {
  refs = await startRefResolver();
  open = await startGitServer();
  commit = await open.commit('app', { Dockerfile: 'FROM scratch\n' });
  closed = await startGitServer({ credentials });
  await closed.commit('app', { Dockerfile: 'FROM scratch\n' });
});
afterAll(async () => {
  await open.stop();
  await closed.stop();
  await refs[Symbol.asyncDispose]();
});

const problem = async (url: string, ref: string | null): Promise<ApiProblem> => {
  const error: unknown = await resolveRef(readGitUrl(url), ref).catch((reason: unknown) => reason);
  if (!(error instanceof ApiProblem)) throw new Error(`not refused: ${String(error)}`);
  return error;
};

describe('a git ref', () => {
  it('is resolved to its commit: the default branch, a branch, a whole name', async () => {
    for (const ref of [null, 'HEAD', 'main', 'refs/heads/main']) {
      expect(await resolveRef(readGitUrl(open.url('app')), ref)).toBe(commit);
    }
  });

  it('that is a whole commit id is taken as it is, without asking', async () => {
    const id = '0123456789abcdef'.repeat(4);
    for (const written of [id, id.toUpperCase()]) {
      expect(await resolveRef(readGitUrl('http://127.0.0.1:1/a.git'), written)).toBe(id);
    }
  });

  it.each(['none', 'abc1234', '--upload-pack=x', 'a b', 'mai*', 'a..b', '@{-1}', 'ma\nin', ''])(
    '%j is not found',
    async (ref) => {
      expect((await problem(open.url('app'), ref)).code).toBe('git_ref_not_found');
    },
  );

  it('is read with the credentials of the URL, which no message shows', async () => {
    const url = new URL(closed.url('app'));
    url.username = credentials.username;
    url.password = encodeURIComponent(credentials.password);
    expect(await resolveRef(readGitUrl(url.href), 'main')).toMatch(/^[0-9a-f]{40}$/);
    url.password = 'hunter2';
    const refused = await problem(url.href, 'main');
    expect(refused.code).toBe('git_denied');
    expect(refused.message).not.toContain('hunter2');
  });

  it('is not asked for where nobody may read, or nobody answers', async () => {
    expect((await problem(closed.url('app'), 'main')).code).toBe('git_denied');
    expect((await problem(open.url('nothing'), 'main')).code).toBe('git_denied');
    const away = await problem('http://127.0.0.1:1/app.git', 'main');
    expect(away.code).toBe('git_unreachable');
    expect(away.message).toMatch(/Git says: .*127\.0\.0\.1/);
  });

  it('sends its credentials to no other server that it is redirected to', async () => {
    await using other = await startGitServer({ credentials });
    await other.commit('app', {});
    await using first = await startGitServer();
    first.fault({ redirect: other.origin });
    const url = new URL(first.url('app'));
    url.username = credentials.username;
    url.password = encodeURIComponent(credentials.password);
    expect((await problem(url.href, 'main')).code).toBe('git_denied');
  });
});

describe('tags', () => {
  it('are resolved to what they point to, and stand behind a branch of the same name', async () => {
    const root = await mkdtemp(join(tmpdir(), 'tags-'));
    const git = async (...args: string[]): Promise<string> =>
      (
        await run('git', ['-c', 'user.name=lab', '-c', 'user.email=lab@lab.invalid', '-C', root, ...args])
      ).trim();
    await git('init', '--quiet', '--initial-branch=main', '.');
    await git('commit', '--quiet', '--allow-empty', '-m', 'first');
    const first = await git('rev-parse', 'HEAD');
    await git('tag', 'light');
    await git('tag', '--annotate', '-m', 'a release', 'v1');
    await git('tag', 'both');
    await git('commit', '--quiet', '--allow-empty', '-m', 'second');
    const second = await git('rev-parse', 'HEAD');
    await git('branch', 'both');
    await git('update-server-info');
    // As a plain web server gives it: the oldest way that git knows.
    const server = createServer((request, response) => {
      readFile(
        join(root, '.git', new URL(request.url ?? '', 'http://lab').pathname.slice('/app.git'.length)),
      ).then(
        (content) => response.end(content),
        () => response.writeHead(404).end(),
      );
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = readGitUrl(`http://127.0.0.1:${portOf(server)}/app.git`);
    try {
      expect(await resolveRef(url, 'light')).toBe(first);
      expect(await resolveRef(url, 'v1')).toBe(first);
      expect(await resolveRef(url, 'both')).toBe(second);
      expect(await resolveRef(url, 'refs/tags/both')).toBe(first);
    } finally {
      server.close();
      await rm(root, { recursive: true });
    }
  });
});

describe('a git URL', () => {
  it('is shown without what is secret in it', () => {
    expect(readGitUrl('https://bob:hunter2@git.example/a.git')).toEqual({
      whole: 'https://bob:hunter2@git.example/a.git',
      shown: 'https://git.example/a.git',
      credentials: { username: 'bob', password: 'hunter2' },
      ssh: false,
    });
  });

  it.each(['ssh://git@git.example/app.git', 'git@git.example:app.git'])('%s is one over ssh', (url) => {
    expect(readGitUrl(url)).toEqual({ whole: url, shown: url, credentials: null, ssh: true });
  });

  it.each([
    '--upload-pack=touch',
    '-c',
    'ext::sh -c x',
    'file:///etc',
    '/srv/app.git',
    'ssh://git.example/app.git',
    'ssh://git:secret@git.example/app.git',
    'git@-oProxyCommand=x:app.git',
    'https://',
    'https://git.example',
    'https://git.example/a.git#main',
    'https://git.example/a.git?key=secret',
    'https://git.example/a b.git',
    'https://git.example/a\n.git',
    'http://[::1/a.git',
  ])('%j is refused', (url) => {
    expect(() => readGitUrl(url)).toThrow(ApiProblem);
  });
});
