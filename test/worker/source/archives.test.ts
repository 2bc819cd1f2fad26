import { lstat, readFile, readlink, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { startPackageServer, type LabPackageServer } from '../../../lab/package-server.ts';
import { run } from '../../../lab/process.ts';
import { createSourceFetcher } from '../../../src/worker/source/index.ts';
import { createWorkplace, fetchInto, type Workplace } from './harness.ts';
import { paxEntry, writeTar, writeTarGz } from './tar-writer.ts';
import { writeZip } from './zip-writer.ts';

let server: LabPackageServer;
beforeAll(async () => {
  server = await startPackageServer();
});
afterAll(() => server.stop());

const fetchSource = createSourceFetcher();

const places: Workplace[] = [];
afterEach(async () => {
  for (const place of places.splice(0)) await place[Symbol.asyncDispose]();
});

async function fetchBytes(body: Uint8Array, contentType: string | null, build = {}) {
  const place = await createWorkplace();
  places.push(place);
  server.serve('/package', { kind: 'bytes', body, contentType });
  const fetched = await fetchInto(place, fetchSource, { build_package: `${server.url}/package`, ...build });
  return { ...fetched, context: fetched.source.contextDirectory };
}

const tarEntries = [
  { name: './', type: '5', mode: 0o750, mtime: 1_600_000_000 },
  { name: './Dockerfile', content: 'FROM busybox\n', mtime: 1_650_000_000 },
  { name: './bin/', type: '5', mode: 0o700, mtime: 1_610_000_000 },
  { name: './bin/run', content: '#!/bin/sh\n', mode: 0o755 },
  { name: './bin/again', type: '1', link: './bin/run' },
  { name: './run', type: '2', link: 'bin/run', mtime: 1_620_000_000 },
];

test.each([
  ['a tar.gz as application/gzip', writeTarGz(tarEntries), 'application/gzip'],
  ['a tar.gz as application/x-gzip', writeTarGz(tarEntries), 'Application/X-GZip; charset=binary'],
  ['a tar.gz that says it is a tar', writeTarGz(tarEntries), 'application/x-tar'],
  ['a tar as application/x-tar', writeTar(tarEntries), 'application/x-tar'],
  ['a tar from an object store', writeTar(tarEntries), 'application/octet-stream'],
  ['a tar.gz from an object store', writeTarGz(tarEntries), 'binary/octet-stream'],
  ['a tar without a media type', writeTar(tarEntries), null],
  ['a tar served as text', writeTar(tarEntries), 'text/plain'],
  ['a tar.gz that says it is a zip', writeTarGz(tarEntries), 'application/zip'],
  ['a tar.gz of a media type that nobody knows', writeTarGz(tarEntries), 'application/x-compressed-tar'],
])('%s is unpacked with modes, times and links', async (_what, body, contentType) => {
  const { context, source } = await fetchBytes(body, contentType);
  expect(source.base.reference).toBe('busybox:latest');
  expect(await readFile(source.dockerfile, 'utf8')).toBe('FROM busybox\n');
  expect(Math.floor((await stat(source.dockerfile)).mtimeMs / 1000)).toBe(1_650_000_000);
  expect((await stat(context)).mode & 0o7777).toBe(0o750);
  expect((await stat(context)).mtimeMs).toBe(1_600_000_000_000);
  const bin = await stat(join(context, 'bin'));
  expect([bin.mode & 0o7777, bin.mtimeMs]).toEqual([0o700, 1_610_000_000_000]);
  const program = await stat(join(context, 'bin/run'));
  expect([program.mode & 0o7777, program.nlink]).toEqual([0o755, 2]);
  expect((await stat(join(context, 'bin/again'))).ino).toBe(program.ino);
  expect(await readlink(join(context, 'run'))).toBe('bin/run');
  expect((await lstat(join(context, 'run'))).mtimeMs).toBe(1_620_000_000_000);
});

test.each([
  ['application/zip'],
  ['application/x-zip-compressed'],
  ['application/octet-stream'],
  ['application/x-tar'],
  ['application/java-archive'],
  [null],
])('a zip as %s is unpacked with executable bits, links and times', async (contentType) => {
  const zip = writeZip([
    {
      name: 'Dockerfile',
      content: 'FROM busybox\n',
      date: (40 << 9) | (2 << 5) | 3,
      time: (4 << 11) | (5 << 5) | 3,
    },
    { name: 'bin/', mode: 0o040700 },
    { name: 'bin/run', content: '#!/bin/sh\n', mode: 0o100755 },
    { name: 'run', content: 'bin/run', mode: 0o120777 },
    { name: 'dos\\file', content: 'x', mode: 0 },
    { name: 'übung', content: 'x' },
  ]);
  const { context, source } = await fetchBytes(zip, contentType);
  expect((await stat(source.dockerfile)).mtime.toISOString()).toMatch(/^2020-02-03T04:05:06\./);
  expect((await stat(join(context, 'bin'))).mode & 0o777).toBe(0o700);
  expect((await stat(join(context, 'bin/run'))).mode & 0o777).toBe(0o755);
  expect(await readlink(join(context, 'run'))).toBe('bin/run');
  expect((await stat(join(context, 'dos/file'))).mode & 0o777).toBe(0o644);
  expect(await readFile(join(context, 'übung'), 'utf8')).toBe('x');
});

test('names of a zip that does not say how they are written are UTF-8 where they can be, as of macOS', async () => {
  const { context } = await fetchBytes(
    writeZip([
      { name: 'Dockerfile', content: 'FROM busybox\n' },
      { name: 'übung', content: 'of macOS', flags: 0 },
      { name: Buffer.from([0x81, 0x62]), content: 'of MS-DOS', flags: 0 },
    ]),
    'application/zip',
  );
  expect(await readFile(join(context, 'übung'), 'utf8')).toBe('of macOS');
  expect(await readFile(join(context, 'üb'), 'utf8')).toBe('of MS-DOS');
});

test('a tar of GNU tar, with long names, is what was packed', async () => {
  const long = `${'folder-with-a-long-name/'.repeat(8)}file`;
  const tar = await createWorkplace();
  await using _tar = tar;
  const make = `mkdir -p "$(dirname ${long})" && echo deep > ${long} && echo FROM scratch > Dockerfile && tar -czf ../t.tgz .`;
  await run('sh', ['-c', make], { cwd: tar.directory });
  const { context } = await fetchBytes(await readFile(join(tar.outside, 't.tgz')), 'application/gzip');
  expect(await readFile(join(context, long), 'utf8')).toBe('deep\n');
});

test("PAX's long names and times are kept", async () => {
  const name = `${'a'.repeat(90)}/${'ü'.repeat(60)}`;
  const body = writeTar([
    { name: 'Dockerfile', content: 'FROM scratch' },
    paxEntry({ path: name, mtime: '1650000000.75' }),
    { name: 'short', content: 'x' },
  ]);
  const { context } = await fetchBytes(body, 'application/x-tar');
  expect(Math.floor((await stat(join(context, name))).mtimeMs / 1000)).toBe(1_650_000_000);
});

test('a lone Dockerfile is a context with nothing else in it, wherever the build says it lies', async () => {
  for (const contentType of ['text/plain', 'application/octet-stream', null]) {
    const { context, source } = await fetchBytes(Buffer.from('FROM busybox:1\n'), contentType, {
      context: 'sub',
      dockerfile_path: 'other/Dockerfile.prod',
    });
    expect(source.dockerfile).toBe(join(context, 'Dockerfile'));
    expect((await run('ls', ['-A', context])).trim()).toBe('Dockerfile');
    expect((await stat(source.dockerfile)).mode & 0o777).toBe(0o644);
  }
});

test('setuid, setgid and sticky bits are dropped', async () => {
  const body = writeTar([
    { name: 'Dockerfile', content: 'FROM scratch' },
    { name: 'su', content: 'x', mode: 0o6755 },
    { name: 'tmp/', type: '5', mode: 0o1777 },
  ]);
  const { context } = await fetchBytes(body, 'application/x-tar');
  expect((await stat(join(context, 'su'))).mode & 0o7777).toBe(0o755);
  expect((await stat(join(context, 'tmp'))).mode & 0o7777).toBe(0o777);
});

test('an entry that comes twice is replaced by the later one, and a hard link to the first keeps its content', async () => {
  const body = gzipSync(
    writeTar([
      { name: 'Dockerfile', content: 'FROM first' },
      { name: 'kept', type: '1', link: 'Dockerfile' },
      { name: 'Dockerfile', content: 'FROM second' },
      { name: 'link', type: '2', link: 'kept' },
      { name: 'link', content: 'a file now' },
    ]),
  );
  const { context, source } = await fetchBytes(body, 'application/gzip');
  expect(source.base.name).toBe('second');
  expect(await readFile(join(context, 'kept'), 'utf8')).toBe('FROM first');
  expect((await lstat(join(context, 'link'))).isFile()).toBe(true);
});

test('progress is told in bytes, with the total where the server says it', async () => {
  const body = writeTar([
    { name: 'Dockerfile', content: 'FROM scratch' },
    { name: 'filling', content: Buffer.alloc(3 * 1024 * 1024, 'x') },
  ]);
  const { messages } = await fetchBytes(body, 'application/x-tar');
  expect(messages.length).toBeGreaterThanOrEqual(3);
  expect(messages.at(-1)).toEqual({
    status: 'Downloading',
    id: 'package',
    progressDetail: { current: body.length, total: body.length },
  });
});
