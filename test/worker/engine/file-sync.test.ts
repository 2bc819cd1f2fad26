import { appendFile, link, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { fileSyncService } from '../../../src/worker/engine/buildkit/file-sync.ts';
import { packet } from '../../../src/worker/engine/buildkit/protobuf.ts';
import { openFakeEngine, receiveTree, type FakeCall } from './fake-engine.ts';
import { makeContext } from './support.ts';

const DIFF_COPY = '/moby.filesync.v1.FileSync/DiffCopy';

async function openContext(path: string) {
  return openFakeEngine(fileSyncService(new Map([['context', path]])));
}

/** Reads packets until one is an error, and answers with its text. */
async function errorOf(call: FakeCall): Promise<string> {
  for await (const bytes of call.messages) {
    const { type, data } = packet.decode(bytes);
    if (type === 4) return Buffer.from(data).toString();
  }
  return 'no error came';
}

test('lists depth first, siblings by their bytes, and sends what is asked for', async () => {
  await using context = await makeContext({
    'b/x': '1',
    'b-c': '2',
    'b.d': '3',
    'a/z/y': '4',
    ü: '5',
    Z: '',
    '😀': '6',
    '｡': '7',
  });
  await link(join(context.path, 'b/x'), join(context.path, 'c-other-name'));
  await symlink('b/x', join(context.path, 'link'));
  using engine = await openContext(context.path);
  const call = engine.begin(DIFF_COPY, { 'dir-name': 'context' });

  const { stats, contents } = await receiveTree(call);

  expect(stats.map(({ path }) => path)).toEqual(
    [...['Z', 'a', 'a/z', 'a/z/y', 'b', 'b/x', 'b-c', 'b.d', 'c-other-name', 'link', 'ü', '｡', '😀']].sort(
      (one, other) => compareAsFsutil(one, other),
    ),
  );
  expect(Object.fromEntries(contents)).toEqual({
    ...{ 'b/x': '1', 'b-c': '2', 'b.d': '3', 'a/z/y': '4', ü: '5', Z: '', '😀': '6', '｡': '7' },
  });
  const of = (path: string) => stats.find((stat) => stat.path === path);
  expect(of('c-other-name')).toMatchObject({ linkName: 'b/x', size: 0 });
  expect(of('link')).toMatchObject({ linkName: 'b/x' });
  expect((await call.status).code).toBe(0);
});

/** The order that BuildKit insists on: by bytes, where `/` comes before everything. */
function compareAsFsutil(one: string, other: string): number {
  return Buffer.compare(Buffer.from(one.replaceAll('/', '\0')), Buffer.from(other.replaceAll('/', '\0')));
}

describe('selects', () => {
  const files = {
    'a/one': '1',
    'a/two': '2',
    'b/deep/three': '3',
    'with, comma': '4',
    'ünï/four': '5',
    top: '6',
  };
  test.each([
    ['excludes', { 'exclude-patterns': ['a', 'b/**'] }, ['b', 'top', 'with, comma', 'ünï', 'ünï/four']],
    ['an exception', { 'exclude-patterns': ['*', '!b/deep'] }, ['b', 'b/deep', 'b/deep/three']],
    ['a pattern with a comma', { 'exclude-patterns': ['with, comma', 'a', 'b', 'ünï'] }, ['top']],
    ['includes', { 'include-patterns': ['b/deep/*'] }, ['b', 'b/deep', 'b/deep/three']],
    ['followed paths', { followpaths: ['a/one', 'absent'] }, ['a', 'a/one']],
    ['followed paths by wildcards', { followpaths: ['*/two'] }, ['a', 'a/two']],
    [
      'escaped patterns',
      {
        'exclude-patterns': ['%C3%BCn%C3%AF', 'a+b', 'a', 'b', 'with%2C+comma'],
        'exclude-patterns-encoded': '1',
      },
      ['top'],
    ],
  ])('%s', async (_what, headers, expected) => {
    await using context = await makeContext(files);
    using engine = await openContext(context.path);
    const raw = Object.fromEntries(
      // node writes header values as Latin-1; the engine sends the bytes of UTF-8.
      Object.entries(headers).map(([name, values]) => [
        name,
        typeof values === 'string' ? values : values.map((value) => Buffer.from(value).toString('latin1')),
      ]),
    );
    const { stats } = await receiveTree(engine.begin(DIFF_COPY, { 'dir-name': 'context', ...raw }));
    expect(stats.map(({ path }) => path)).toEqual(expected);
  });

  test('what symlinks on the way lead to, and never anything outside', async () => {
    await using context = await makeContext({ 'real/file': '1', 'real/other': '2', unrelated: '3' });
    await symlink('real', join(context.path, 'linked'));
    await symlink('/../../etc', join(context.path, 'out'));
    await symlink('loop', join(context.path, 'loop'));
    using engine = await openContext(context.path);
    const { stats } = await receiveTree(
      engine.begin(DIFF_COPY, {
        'dir-name': 'context',
        followpaths: ['linked/file', 'out/passwd', 'loop/x'],
      }),
    );
    expect(stats.map(({ path }) => path)).toEqual(['linked', 'loop', 'out', 'real', 'real/file']);
  });

  test('a hundred patterns and more', async () => {
    await using context = await makeContext(files);
    using engine = await openContext(context.path);
    const many = Array.from({ length: 2000 }, (_, index) => `none-${index}`);
    const { stats } = await receiveTree(
      engine.begin(DIFF_COPY, { 'dir-name': 'context', 'exclude-patterns': [...many, 'a', 'b', 'with*'] }),
    );
    expect(stats.map(({ path }) => path)).toContain('top');
    expect(stats.map(({ path }) => path)).not.toContain('a/one');
  });
});

describe('refuses', () => {
  test('a directory that is not of this build', async () => {
    await using context = await makeContext({ file: '1' });
    using engine = await openContext(context.path);
    const call = engine.begin(DIFF_COPY, { 'dir-name': '/etc' });
    expect(await call.status).toMatchObject({ code: 5 });
  });

  const LISTED = packet.encode({ type: 1, id: 0 });
  test.each([
    {
      what: 'grew',
      change: (path: string) => appendFile(path, 'more'),
      words: 'file changed while the context was sent',
    },
    {
      what: 'was written again in the same size',
      change: async (path: string) => {
        await writeFile(path, 'y'.repeat(1000));
        await utimes(path, 1, 1);
      },
      words: 'file changed while the context was sent',
    },
    {
      what: 'was exchanged for another of the same looks',
      change: async (path: string) => {
        await writeFile(`${path}.new`, 'y'.repeat(1000));
        await utimes(`${path}.new`, 1_700_000_000, 1_700_000_000);
        await rename(`${path}.new`, path);
      },
      words: 'file changed while the context was sent',
    },
    {
      what: 'became a symlink',
      change: async (path: string) => {
        await rm(path);
        await symlink('/etc/passwd', path);
      },
      words: 'cannot read file: it became a symlink',
    },
    {
      what: 'is gone',
      change: (path: string) => rm(path),
      words: 'cannot read file: it is not there (ENOENT)',
    },
  ])(
    'a file that $what after it was listed, without naming a path of this machine',
    async ({ change, words }) => {
      await using context = await makeContext({ file: 'x'.repeat(1000) });
      const path = join(context.path, 'file');
      await utimes(path, 1_700_000_000, 1_700_000_000);
      using engine = await openContext(context.path);
      const call = engine.begin(DIFF_COPY, { 'dir-name': 'context' });
      // The list is out once the first packet is here; nothing is read before it is asked for.
      await once(call.stream, 'readable');
      await change(path);
      call.send(LISTED);
      const text = await errorOf(call);
      expect(text).toContain(words);
      expect(text).not.toContain(context.path);
      call.stream.resume();
      expect((await call.status).code).toBe(2);
    },
  );

  test.each([[7], [0, 0], [1]])('a request for %j, which is no file or was sent', async (...ids) => {
    await using context = await makeContext({ file: '1' });
    await symlink('file', join(context.path, 'link'));
    using engine = await openContext(context.path);
    const call = engine.begin(DIFF_COPY, { 'dir-name': 'context' });
    await once(call.stream, 'readable');
    for (const id of ids) call.send(packet.encode({ type: 1, id }));
    expect(await errorOf(call)).toContain('which is no file');
  });
});
