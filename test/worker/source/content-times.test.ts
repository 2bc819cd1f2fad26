import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startGitServer, type LabGitServer } from '../../../lab/git-server.ts';
import { startPackageServer, type LabPackageServer } from '../../../lab/package-server.ts';
import { createSourceFetcher } from '../../../src/worker/source/index.ts';
import { createWorkplace, fetchInto } from './harness.ts';
import { writeTar } from './tar-writer.ts';
import { writeZip } from './zip-writer.ts';

/** The engine asks for a file again when its time, its size or its mode is another: so its time tells of its content. */

const fetchSource = createSourceFetcher();
const dockerfile = { name: 'Dockerfile', content: 'FROM scratch\n' };
let git: LabGitServer;
let packages: LabPackageServer;
beforeAll(async () => {
  git = await startGitServer();
  packages = await startPackageServer();
});
afterAll(async () => {
  await git.stop();
  await packages.stop();
});

/** The times of these files in a checkout, or in an unpacked package, of its own. */
async function timesOf(
  paths: readonly string[],
  build: Parameters<typeof fetchInto>[2],
): Promise<Record<string, bigint>> {
  await using place = await createWorkplace();
  const { source } = await fetchInto(place, fetchSource, build);
  const times = paths.map(async (path): Promise<[string, bigint]> => {
    const { mtimeNs } = await lstat(join(source.contextDirectory, path), { bigint: true });
    return [path, mtimeNs];
  });
  return Object.fromEntries(await Promise.all(times));
}

test('in a commit: the same for the same content, in every checkout, and others where a commit changed it', async () => {
  const rest = { Dockerfile: 'FROM scratch\n', 'lib/same': 'same', 'a link': { link: 'lib/same' } };
  const first = await git.commit('app', { ...rest, 'lib/changed': 'one' });
  const second = await git.commit('app', { ...rest, 'lib/changed': 'two' });
  const paths = ['Dockerfile', 'lib/same', 'a link', 'lib/changed'];
  const before = await timesOf(paths, { git: { url: git.url('app'), sha: first } });
  expect(await timesOf(paths, { git: { url: git.url('app'), sha: first } })).toEqual(before);
  const { 'lib/changed': changed, ...same } = await timesOf(paths, {
    git: { url: git.url('app'), sha: second },
  });
  expect(before).toMatchObject(same);
  expect(changed).not.toBe(before['lib/changed']);
  // Web servers look at whole seconds.
  expect((changed ?? 0n) / 1_000_000_000n).not.toBe((before['lib/changed'] ?? 0n) / 1_000_000_000n);
});

test('in a commit: others for all files where git writes their content in another way', async () => {
  const files = { Dockerfile: 'FROM scratch\n', text: 'text' };
  const plain = await git.commit('attributes', files);
  const wide = await git.commit('attributes', {
    ...files,
    '.gitattributes': 'text working-tree-encoding=UTF-16LE\n',
  });
  const before = await timesOf(['text'], { git: { url: git.url('attributes'), sha: plain } });
  const after = await timesOf(['text'], { git: { url: git.url('attributes'), sha: wide } });
  expect(after).not.toEqual(before);
});

test('in submodules too', async () => {
  const inner = { 'deep/same': 'same', changed: 'one' };
  const one = await git.commit('inner', inner);
  const two = await git.commit('inner', { ...inner, changed: 'two' });
  const outer = async (sha: string) =>
    git.commit('outer', { Dockerfile: 'FROM scratch\n', inner: { submodule: git.url('inner'), sha } });
  const paths = ['inner/deep/same', 'inner/changed'];
  const before = await timesOf(paths, { git: { url: git.url('outer'), sha: await outer(one) } });
  const after = await timesOf(paths, { git: { url: git.url('outer'), sha: await outer(two) } });
  expect(after['inner/deep/same']).toBe(before['inner/deep/same']);
  expect(after['inner/changed']).not.toBe(before['inner/changed']);
});

test.each([
  ['a tar', (content: string) => writeTar([dockerfile, { name: 'file', content, mtime: 0 }])],
  ['a zip', (content: string) => writeZip([dockerfile, { name: 'file', content }])],
])('in %s whose files have one time: others where their content is another', async (_what, write) => {
  packages.serve('/one', { kind: 'bytes', body: write('one'), contentType: null });
  packages.serve('/two', { kind: 'bytes', body: write('two'), contentType: null });
  const one = await timesOf(['file'], { build_package: `${packages.url}/one` });
  expect(await timesOf(['file'], { build_package: `${packages.url}/one` })).toEqual(one);
  const two = await timesOf(['file'], { build_package: `${packages.url}/two` });
  expect(two).not.toEqual(one);
  const SECOND = 1_000_000_000n;
  expect((two['file'] ?? 0n) / SECOND).toBe((one['file'] ?? 0n) / SECOND);
});
