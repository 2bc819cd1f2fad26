import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startGitServer, type LabGitServer } from '../../../lab/git-server.ts';
import { startSshServer, type LabSshServer } from '../../../lab/ssh-server.ts';
import { CliError } from '../../../src/cli/failure.ts';
import { withGitAccess, type GitAccessOptions } from '../../../src/cli/submit/git-access.ts';
import { readSource, type Source } from '../../../src/cli/submit/source.ts';
import { cli } from '../support/cli.ts';
import { startTestApi, type TestApi } from '../support/manager.ts';

const TOKEN = 't0ken/with@signs';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cli-git-'));
  await writeFile(join(folder, 'token'), `${TOKEN}\n`);
  await writeFile(join(folder, 'empty'), '\n');
});
afterAll(() => rm(folder, { recursive: true }));

async function access(url: string, options: GitAccessOptions, environment = {}): Promise<Source> {
  return withGitAccess(await readSource(url), options, environment);
}

describe('how a git URL is opened', () => {
  it('by a token from a file or the environment, with or without a user', async () => {
    const url = 'https://git.example/team/app.git#main';
    const written = encodeURIComponent(TOKEN);
    expect(await access(url, { gitToken: `${folder}/token` })).toMatchObject({
      url: `https://git:${written}@git.example/team/app.git`,
      ref: 'main',
    });
    expect(await access(url, { gitToken: 'env=T', gitUser: 'ci@team' }, { T: TOKEN })).toMatchObject({
      url: `https://ci%40team:${written}@git.example/team/app.git`,
    });
  });

  it('by a key, over ssh', async () => {
    expect(
      await access('git@git.example:team/app.git#v1', { gitKey: 'env=KEY' }, { KEY: 'a key\n' }),
    ).toEqual({
      type: 'git',
      url: 'git@git.example:team/app.git',
      ref: 'v1',
      folder: '',
      privateKey: 'a key\n',
    });
  });

  it.each<[url: string, GitAccessOptions, RegExp]>([
    ['git@git.example:app.git', {}, /needs a private key/],
    ['ssh://git@git.example/app.git', { gitToken: 'FOLDER/token' }, /takes no token/],
    ['https://git.example/app.git', { gitKey: 'FOLDER/token' }, /is for git over ssh/],
    ['https://git.example/app.git', { gitUser: 'ci' }, /nothing without --git-token/],
    ['https://ci:x@git.example/app.git', { gitToken: 'FOLDER/token' }, /has a user already/],
    ['https://git.example/app.git', { gitToken: 'FOLDER/empty' }, /there is nothing in it/],
    ['https://git.example/app.git', { gitToken: 'env=NOT_SET' }, /there is nothing in it/],
    ['https://git.example/app.git', { gitToken: 'FOLDER/none' }, /no such file/],
    ['https://files.example/app.tar', { gitToken: 'FOLDER/token' }, /are for a git URL/],
    ['FOLDER', { gitKey: 'FOLDER/token' }, /are for a git URL/],
  ])('%s with %j is refused', async (url, options, words) => {
    const placed = Object.fromEntries(
      Object.entries(options).map(([name, value]) => [name, String(value).replace('FOLDER', folder)]),
    );
    const error: unknown = await access(url.replace('FOLDER', folder), placed).catch(
      (caught: unknown) => caught,
    );
    const said = error instanceof CliError ? error.message + error.help : String(error);
    expect(said).toMatch(words);
    expect(said).not.toContain(TOKEN);
  });
});

describe('a build of a repository that asks who comes', () => {
  let api: TestApi;
  let url: string;
  let ssh: LabSshServer;
  let http: LabGitServer;
  beforeAll(async () => {
    api = await startTestApi();
    ({ url } = api);
    ssh = await startSshServer();
    http = await startGitServer({ credentials: { username: 'git', password: TOKEN } });
  });
  afterAll(async () => {
    await http.stop();
    await ssh.stop();
    await api[Symbol.asyncDispose]();
  });

  it('is submitted over ssh with a key, at the commit of its branch, and the key is shown nowhere', async () => {
    const sha = await ssh.commit('app', { Dockerfile: 'FROM scratch\n' });
    const key = join(folder, 'key');
    await writeFile(key, ssh.privateKey, { mode: 0o600 });
    const args = [
      'submit',
      `${ssh.url('app')}#main`,
      '--git-key',
      key,
      '-r',
      'team/app',
      '--detach',
      '--json',
    ];
    const { code, stdout, stderr } = await cli(args, { url });
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ source: { type: 'git', ref: 'main', sha } });
    for (const line of ssh.privateKey.trim().split('\n'))
      expect(stdout + stderr + api.logged()).not.toContain(line);
  });

  it('is submitted over http with a token, which is shown nowhere', async () => {
    const sha = await http.commit('app', { Dockerfile: 'FROM scratch\n' });
    const args = [
      'submit',
      http.url('app'),
      '--git-token',
      'env=TOKEN',
      '-r',
      'team/app',
      '--detach',
      '--json',
    ];
    const { code, stdout, stderr } = await cli(args, { url, env: { TOKEN } });
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ source: { type: 'git', url: http.url('app'), sha } });
    for (const part of [TOKEN, encodeURIComponent(TOKEN)])
      expect(stdout + stderr + api.logged()).not.toContain(part);
  });
});
