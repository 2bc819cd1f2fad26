import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { makeFolders } from '../../src/contract/folders.ts';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'folders-'));
  await writeFile(join(root, 'file'), '');
});
afterAll(() => rm(root, { recursive: true }));

it('a folder and those above it are made, for their owner alone, also by several at once', async () => {
  await Promise.all([
    makeFolders(join(root, 'a/b/c')),
    makeFolders(join(root, 'a/b/d')),
    makeFolders(join(root, 'a/b/c')),
  ]);
  for (const path of ['a', 'a/b', 'a/b/c', 'a/b/d']) {
    const { mode } = await stat(join(root, path));
    expect(mode & 0o777).toBe(0o700);
  }
  await makeFolders('/');
});

it.each([
  ['/proc/folder', 'ENOENT'],
  ['/proc/folder/within', 'ENOENT'],
  ['/dev/null/folder', 'ENOTDIR'],
  ['ROOT/file', 'EEXIST'],
  ['ROOT/file/folder', 'ENOTDIR'],
])('%s cannot be made, and is said so at once', async (path, code) => {
  await expect(makeFolders(path.replace('ROOT', root))).rejects.toMatchObject({ code });
});
