import { link, mkdir, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { extract } from 'tar-stream';
import { expect, test } from 'vitest';
import { packContext } from '../../../src/worker/engine/classic/context-tar.ts';
import { registryConfigHeader } from '../../../src/worker/engine/credentials.ts';
import { makeContext } from './support.ts';

/** A time before 1970; Node takes a negative number for now. */
const BEFORE = new Date(-1000);

interface Entry {
  /** In seconds since 1970. */
  readonly time: number;
  readonly name: string;
  readonly type: string | null | undefined;
  readonly owner: string;
  readonly text: string;
}

async function entriesOf(body: NodeJS.ReadableStream): Promise<Entry[]> {
  const entries: Entry[] = [];
  const archive = extract();
  const reading = pipeline(body, archive as unknown as NodeJS.WritableStream);
  for await (const entry of archive) {
    let text = '';
    for await (const chunk of entry) text += String(chunk);
    const { name, type, uid, gid, mtime } = entry.header;
    entries.push({ name, type, owner: `${uid}:${gid}`, text, time: mtime.getTime() / 1000 });
  }
  await reading;
  return entries;
}

test('packs times that the engine takes, whatever those of the files are', async () => {
  await using context = await makeContext({ Dockerfile: 'FROM scratch', old: '', future: '', usual: '' });
  await utimes(join(context.path, 'old'), BEFORE, BEFORE);
  await utimes(join(context.path, 'future'), 7e9, 7e9);
  await utimes(join(context.path, 'usual'), 1e9, 1e9);
  const { body } = await packContext(context.path, join(context.path, 'Dockerfile'));
  const times = new Map((await entriesOf(body)).map(({ name, time }) => [name, time]));
  expect([times.get('old'), times.get('usual'), times.get('future')]).toEqual([0, 1e9, 2 ** 31 - 1]);
});

test('packs what .dockerignore leaves, in the order of names, owned by root', async () => {
  await using context = await makeContext({
    Dockerfile: 'FROM scratch',
    '.dockerignore': 'secret\nDockerfile\n',
    secret: 's',
    'b/file': 'in b',
    'a-b': '',
  });
  await mkdir(join(context.path, 'empty'));
  await link(join(context.path, 'b/file'), join(context.path, 'second'));
  await symlink('b', join(context.path, 'link'));

  const { body, dockerfile } = await packContext(context.path, join(context.path, 'Dockerfile'));

  const entries = await entriesOf(body);
  expect(dockerfile).toBe('Dockerfile');
  expect(entries.map(({ name, type }) => `${type ?? ''} ${name}`)).toEqual([
    'file .dockerignore',
    'file Dockerfile',
    'file a-b',
    'directory b',
    'file b/file',
    'directory empty',
    'symlink link',
    'link second',
  ]);
  expect(new Set(entries.map(({ owner }) => owner))).toEqual(new Set(['0:0']));
  expect(entries.find(({ name }) => name === 'b/file')?.text).toBe('in b');
});

test('a Dockerfile outside goes in under a name that the .dockerignore sent keeps from COPY', async () => {
  await using context = await makeContext({
    'app/file': '1',
    'app/.dockerignore': 'x',
    'other/Dockerfile': 'FROM scratch',
  });
  const app = join(context.path, 'app');
  const { body, dockerfile } = await packContext(app, join(context.path, 'other/Dockerfile'));
  const entries = await entriesOf(body);
  expect(entries.map(({ name }) => name)).toEqual([dockerfile, '.dockerignore', 'file']);
  expect(entries[0]?.text).toBe('FROM scratch');
  expect(entries[1]?.text).toBe(`x\n${dockerfile}\n`);
});

test.each(['.dockerignore', '../beside/Dockerfile'])(
  'refuses a %s that leads to a file of this machine',
  async (name) => {
    await using context = await makeContext({ 'app/Dockerfile': 'FROM scratch', 'beside/file': '' });
    const app = join(context.path, 'app');
    await symlink('/etc/passwd', join(app, name));
    const dockerfile = name.endsWith('Dockerfile') ? join(app, name) : join(app, 'Dockerfile');
    await expect(packContext(app, dockerfile)).rejects.toThrow('leads out of its folder by a link');
  },
);

test('a .dockerignore may be a symlink within the context, and may not be huge', async () => {
  await using context = await makeContext({
    Dockerfile: 'FROM scratch',
    'docker/ignored': 'secret',
    secret: 's',
  });
  await symlink('docker/ignored', join(context.path, '.dockerignore'));
  const { body } = await packContext(context.path, join(context.path, 'Dockerfile'));
  expect((await entriesOf(body)).map(({ name }) => name)).not.toContain('secret');

  await writeFile(join(context.path, 'docker/ignored'), 'x\n'.repeat(1024 * 1024));
  await expect(packContext(context.path, join(context.path, 'Dockerfile'))).rejects.toThrow('has more than');
});

test("a Dockerfile's own ignore file comes before the context's, and goes for COPY too", async () => {
  await using context = await makeContext({
    'docker/Dockerfile.prod': 'FROM scratch',
    'docker/Dockerfile.prod.dockerignore': 'secret\ndocker\n',
    '.dockerignore': 'wanted\n',
    secret: 's',
    wanted: 'w',
  });
  const { body, dockerfile } = await packContext(context.path, join(context.path, 'docker/Dockerfile.prod'));
  const entries = await entriesOf(body);
  expect(entries.map(({ name }) => name)).toEqual([dockerfile, '.dockerignore', 'wanted']);
  expect(entries[0]?.text).toBe('FROM scratch');
  expect(entries[1]?.text).toBe(`.dockerignore\n${dockerfile}\n`);
});

test('a reader that goes away ends the packing', async () => {
  await using context = await makeContext({ Dockerfile: 'FROM scratch', big: Buffer.alloc(4 * 1024 * 1024) });
  const { body } = await packContext(context.path, join(context.path, 'Dockerfile'));
  for await (const chunk of body) {
    expect(chunk).toBeInstanceOf(Buffer);
    break;
  }
  expect(body.destroyed).toBe(true);
});

test('credentials go to the engine in base64url with padding, the only form that it reads', () => {
  const header = registryConfigHeader(
    new Map([
      ['Registry.Example', { username: '??>>', password: '~~~ÿÿ' }],
      ['docker.io', { username: 'a', password: 'b' }],
    ]),
  );
  expect(header).toMatch(/^[A-Za-z0-9_-]+=*$/);
  expect(header.length % 4).toBe(0);
  expect(JSON.parse(Buffer.from(header, 'base64url').toString())).toEqual({
    'registry.example': { username: '??>>', password: '~~~ÿÿ' },
    'https://index.docker.io/v1/': { username: 'a', password: 'b' },
  });
});
