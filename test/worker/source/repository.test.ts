import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { run } from '../../../lab/process.ts';
import { makeRepository } from '../../../src/worker/source/git/repository.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'repository-'));
});
afterEach(() => rm(directory, { recursive: true }));

it.each(['sha1', 'sha256'] as const)(
  'git takes it for a repository of %s without commits',
  async (format) => {
    await makeRepository(directory, 'https://git.example/team/app.git', format);
    const ask = (...args: string[]): Promise<string> => run('git', ['-C', directory, ...args]);
    expect(await ask('rev-parse', '--show-object-format')).toBe(`${format}\n`);
    expect(await ask('status', '--porcelain')).toBe('');
    expect(await ask('config', 'remote.origin.fetch')).toBe('+refs/heads/*:refs/remotes/origin/*\n');
  },
);

it.each([
  'https://git.example/a b.git',
  'git@git.example:"quoted"\\back;#hash.git',
  'x\n[core]\n\tpager = y',
])('its origin is the URL %j, and says nothing else to git', async (url) => {
  await makeRepository(directory, url, 'sha1');
  const listed = await run('git', ['-C', directory, 'config', '--local', '--null', '--list']);
  expect(listed.split('\0')).toContain(`remote.origin.url\n${url}`);
  expect(listed).not.toContain('core.pager');
});
