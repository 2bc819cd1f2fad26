import { chmod, link, mkdir, mkdtemp, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { extract, type Header } from 'tar-stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { packFolder } from '../../../src/cli/submit/pack.ts';

/** A time before 1970; Node takes a negative number for now. */
const BEFORE = new Date(-1000);

let folder: string;
let target: string;
beforeEach(async () => {
  const directory = await mkdtemp(join(tmpdir(), 'pack-'));
  folder = join(directory, 'source');
  target = join(directory, 'package.tar.gz');
  await mkdir(folder);
});
afterEach(() => rm(dirname(folder), { recursive: true }));

async function put(files: Record<string, string>): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), content);
  }
}

async function pack(
  options: { context?: string; dockerfile?: string; signal?: AbortSignal } = {},
): Promise<Buffer> {
  const { context = '', dockerfile = '', signal = new AbortController().signal } = options;
  await packFolder({ folder, context, dockerfile, onProgress: () => undefined, signal }, target);
  return readFile(target);
}

async function entriesOf(archive: Buffer): Promise<Map<string, Header>> {
  const entries = new Map<string, Header>();
  const reader = extract();
  reader.on('entry', (header, content, next) => {
    entries.set(header.name, header);
    content.resume();
    next();
  });
  const finished = new Promise<void>((resolve, reject) => {
    reader.on('finish', resolve);
    reader.on('error', reject);
  });
  reader.end(gunzipSync(archive));
  await finished;
  return entries;
}
const names = async (archive: Promise<Buffer>): Promise<string[]> => [
  ...(await entriesOf(await archive)).keys(),
];

describe('a folder that is sent', () => {
  it('has its files, folders, links and modes, in order, owned by nobody in particular', async () => {
    await put({ 'b/z': 'z', 'b/a': 'a', a: '', Dockerfile: 'FROM scratch' });
    await chmod(join(folder, 'b/a'), 0o755);
    await symlink('../a', join(folder, 'b/link'));
    await link(join(folder, 'b/z'), join(folder, 'hard'));
    await mkdir(join(folder, 'empty'));
    const entries = await entriesOf(await pack());
    expect([...entries.keys()]).toEqual(['Dockerfile', 'a', 'b', 'b/a', 'b/link', 'b/z', 'empty', 'hard']);
    expect(entries.get('b/a')).toMatchObject({ mode: 0o755, uid: 0, gid: 0, size: 1 });
    expect(entries.get('b/link')).toMatchObject({ type: 'symlink', linkname: '../a' });
    expect(entries.get('empty')?.type).toBe('directory');
    expect(entries.get('hard')).toMatchObject({ type: 'file', size: 1 });
  });

  it('has times that every reader of archives takes, whatever those of its files are', async () => {
    await put({ Dockerfile: 'FROM scratch', old: '', future: '' });
    await utimes(join(folder, 'old'), BEFORE, BEFORE);
    await utimes(join(folder, 'future'), 7e9, 7e9);
    const entries = await entriesOf(await pack());
    expect(entries.get('old')?.mtime).toEqual(new Date(0));
    expect(entries.get('future')?.mtime).toEqual(new Date('2038-01-19T03:14:07Z'));
  });

  it('gives the same bytes each time, and keeps the times of its files', async () => {
    await put({ 'x/y': 'y', z: 'z' });
    const time = new Date('2026-01-02T03:04:05Z');
    await utimes(join(folder, 'z'), time, time);
    const first = await pack();
    expect((await pack()).equals(first)).toBe(true);
    expect((await entriesOf(first)).get('z')?.mtime).toEqual(time);
  });

  it('keeps names of every kind and files of every size', async () => {
    const long = `${'deep/'.repeat(60)}file`;
    await put({
      [long]: 'x',
      'ü ñ 漢': '',
      'large.bin': 'x'.repeat(3_000_000),
      '-dash': '',
      'new\nline': '',
    });
    const entries = await entriesOf(await pack());
    for (const name of [long, 'ü ñ 漢', '-dash', 'new\nline']) expect(entries.has(name)).toBe(true);
    expect(entries.get('large.bin')?.size).toBe(3_000_000);
  });
});

describe('what is left out', () => {
  it('is what .dockerignore names, as Docker reads it', async () => {
    await put({
      '.dockerignore':
        '# a comment\n\n**/*.log\n/build/\nnode_modules\n!node_modules/kept\n*.md\n!README.md\ndocs/??.txt\n',
      'a.log': '',
      'deep/er/b.log': '',
      'build/out': '',
      'src/build/in': '',
      'node_modules/gone': '',
      'node_modules/kept/index.js': '',
      'src/node_modules/stays': '',
      'CHANGES.md': '',
      'README.md': '',
      'docs/ab.txt': '',
      'docs/abc.txt': '',
    });
    expect(await names(pack())).toEqual([
      '.dockerignore',
      'README.md',
      'deep',
      'deep/er',
      'docs',
      'docs/abc.txt',
      'node_modules/kept',
      'node_modules/kept/index.js',
      'src',
      'src/build',
      'src/build/in',
      'src/node_modules',
      'src/node_modules/stays',
    ]);
  });

  it('never takes the Dockerfile or the ignore file away', async () => {
    await put({ '.dockerignore': '**\n', 'docker/app.Dockerfile': 'FROM scratch', other: '' });
    expect(await names(pack({ dockerfile: 'docker/app.Dockerfile' }))).toEqual([
      '.dockerignore',
      'docker/app.Dockerfile',
    ]);
  });

  it("is decided by the Dockerfile's own ignore file, where it has one", async () => {
    await put({ '.dockerignore': 'a\n', 'Dockerfile.dockerignore': 'b\n', Dockerfile: '', a: '', b: '' });
    expect(await names(pack())).toEqual(['.dockerignore', 'Dockerfile', 'Dockerfile.dockerignore', 'a']);
  });

  it('is decided within the context', async () => {
    await put({ '.dockerignore': '*\n', 'ctx/.dockerignore': 'a\n', 'ctx/a': '', 'ctx/b': '', a: '' });
    expect(await names(pack({ context: '/ctx/' }))).toEqual([
      '.dockerignore',
      'a',
      'ctx',
      'ctx/.dockerignore',
      'ctx/b',
    ]);
  });

  it('is told when a pattern cannot be read', async () => {
    await put({ '.dockerignore': 'a[\n' });
    await expect(pack()).rejects.toMatchObject({ exitCode: 2, message: /^\.dockerignore: syntax error/ });
  });
});

describe('what cannot be sent', () => {
  it('is refused by its name, unless it is ignored', async () => {
    const server = createServer().listen(join(folder, 'app.sock'));
    await once(server, 'listening');
    await expect(pack()).rejects.toMatchObject({
      exitCode: 2,
      message: /app\.sock is a socket, a pipe or a device/,
    });
    await put({ '.dockerignore': '*.sock\n' });
    expect(await names(pack())).toEqual(['.dockerignore']);
    server.close();
  });

  it('is a name that is not UTF-8', async () => {
    await writeFile(Buffer.concat([Buffer.from(`${folder}/`), Buffer.of(0xff, 0x61)]), '');
    await expect(pack()).rejects.toMatchObject({ exitCode: 2, message: /is not UTF-8/ });
  });

  it('stops when it is interrupted', async () => {
    await put({ a: 'a' });
    await expect(pack({ signal: AbortSignal.abort() })).rejects.toThrow(/abort/i);
  });
});
