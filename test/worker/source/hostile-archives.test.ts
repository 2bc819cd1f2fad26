import { mkdir, readdir, rename, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openDestination } from '../../../src/worker/source/archive/destination.ts';
import { unpackArchive } from '../../../src/worker/source/archive/unpack.ts';
import { defaultSourceLimits, type SourceLimits } from '../../../src/worker/source/limits.ts';
import { createWorkplace, refusal } from './harness.ts';
import { paxEntry, writeTar, writeTarGz, type TarEntry } from './tar-writer.ts';
import { writeZip, type ZipEntry } from './zip-writer.ts';

type Kind = 'tar' | 'tar.gz' | 'zip';
const signal = new AbortController().signal;
const searchPath = process.env['PATH'] ?? '';

/** Unpacks an archive that must be refused, and sees that nothing came to lie outside of its folder. */
async function refuse(body: Uint8Array, kind: Kind, limits: Partial<SourceLimits> = {}): Promise<string> {
  await using place = await createWorkplace();
  const archive = join(place.directory, 'package');
  await writeFile(archive, body);
  const call = { limits: { ...defaultSourceLimits, ...limits }, searchPath, signal };
  const unpacked = unpackArchive(archive, kind, join(place.directory, 'context'), call);
  const { message } = await refusal(unpacked, 'cannotextractbuildpack');
  expect(await place.leftOutside()).toEqual([]);
  expect((await readdir(place.directory)).sort()).toEqual(['context', 'package']);
  return message;
}

const file: TarEntry = { name: 'file', content: 'x' };
const tarAttacks: [string, TarEntry[], RegExp][] = [
  ['a name with ..', [{ name: '../evil', content: 'x' }], /"\.\.\/evil" leaves the package/],
  ['a name with .. inside', [{ name: 'a/../../evil', content: 'x' }], /leaves the package/],
  ['a folder ..', [{ name: '..', type: '5' }], /leaves the package/],
  ['an absolute name', [{ name: '/tmp/evil', content: 'x' }], /"\/tmp\/evil" has an absolute name/],
  ['an absolute name by PAX', [paxEntry({ path: '/tmp/evil' }), file], /absolute name/],
  ['a symbolic link to ..', [{ name: 'l', type: '2', link: '..' }], /"l" is a link that leaves/],
  [
    'a symbolic link to an absolute path',
    [{ name: 'l', type: '2', link: '/etc' }],
    /"l" is a link to an absolute/,
  ],
  [
    'a file through a symbolic link',
    [
      { name: 'l', type: '2', link: 'folder' },
      { name: 'l/evil', content: 'x' },
    ],
    /"l\/evil" lies below a link/,
  ],
  [
    'a folder over a symbolic link that leaves',
    [
      { name: 'l', type: '2', link: '../..' },
      { name: 'l/', type: '5' },
    ],
    /lies below a link/,
  ],
  [
    'a chain of links that leaves, each of which stays inside as it is written',
    [
      { name: 'a/b/', type: '5' },
      { name: 'a/b/up', type: '2', link: '../..' },
      { name: 'out', type: '2', link: 'a/b/up/..' },
    ],
    /"out" is a link that leaves/,
  ],
  ['a hard link that leaves', [{ name: 'h', type: '1', link: '../../etc/passwd' }], /leaves the package/],
  ['a hard link to an absolute path', [{ name: 'h', type: '1', link: '/etc/passwd' }], /absolute name/],
  [
    'a hard link to nothing',
    [{ name: 'h', type: '1', link: 'nothing' }],
    /"h" is a hard link to what is no file/,
  ],
  ['a hard link without a target', [{ name: 'h', type: '1' }], /has no name/],
  [
    'a hard link through a symbolic link',
    [
      { name: 'l', type: '2', link: 'folder' },
      { name: 'h', type: '1', link: 'l/file' },
    ],
    /hard link to what is no file/,
  ],
  [
    'a hard link to a symbolic link, from where that leaves',
    [
      { name: 'a/l', type: '2', link: '../file' },
      { name: 'h', type: '1', link: 'a/l' },
    ],
    /"h" is a link that leaves/,
  ],
  ['a character device', [{ name: 'null', type: '3' }], /"null" is a device/],
  ['a block device', [{ name: 'sda', type: '4' }], /"sda" is a device/],
  ['a fifo', [{ name: 'pipe', type: '6' }], /"pipe" is a named pipe/],
  ['an unknown kind', [{ name: 'odd', type: 'Z' }], /"odd" is of a kind that is not known/],
  ['a sparse file', [paxEntry({ 'GNU.sparse.major': '1' }), file], /"file" is a sparse file/],
  [
    'a sparse file of an older format',
    [paxEntry({ 'GNU.sparse.size': '9', 'GNU.sparse.map': '1,1' }), file],
    /"file" is a sparse file/,
  ],
  [
    'a name that is not UTF-8',
    [{ name: Buffer.from([0x66, 0xff]), content: 'x' }],
    /a name that is not UTF-8/,
  ],
  ['a target that is not UTF-8', [{ name: 'l', type: '2', link: Buffer.from([0xff]) }], /readable target/],
  ['a name with NUL', [paxEntry({ path: 'a\0b' }), file], /"a\\u0000b" holds a NUL/],
  [
    'a file over a folder',
    [
      { name: 'd/', type: '5' },
      { name: 'd', content: 'x' },
    ],
    /comes as a folder too/,
  ],
  ['a folder below a file', [file, { name: 'file/x', content: 'x' }], /"file\/x" lies below a file/],
  ['a folder over a file', [file, { name: 'file/', type: '5' }], /lies below a file/],
  ['a file in place of the root', [{ name: '.', content: 'x' }], /is the package itself/],
  ['a size below zero', [paxEntry({ size: '-1' }), file], /no tar archive that can be read/],
  [
    'a file that claims to be endless',
    [{ name: 'f', content: 'x', size: 0o7777777777 }],
    /can be read to its end/,
  ],
];

test.each(tarAttacks)('a tar with %s is refused', async (_what, entries, message) => {
  expect(await refuse(writeTar(entries), 'tar')).toMatch(message);
  expect(await refuse(writeTarGz(entries), 'tar.gz')).toMatch(/^The package/);
});

const zipAttacks: [string, ZipEntry[], RegExp][] = [
  ['a name with ..', [{ name: '../evil', content: 'x' }], /"\.\.\/evil" leaves/],
  ['a name with .. by backslashes', [{ name: '..\\evil', content: 'x' }], /leaves the package/],
  ['an absolute name', [{ name: '/evil', content: 'x' }], /absolute name/],
  [
    'a symbolic link that leaves',
    [{ name: 'l', content: '../x', mode: 0o120777 }],
    /"l" is a link that leaves/,
  ],
  ['a symbolic link to an absolute path', [{ name: 'l', content: '/x', mode: 0o120777 }], /absolute path/],
  [
    'a file through a symbolic link',
    [
      { name: 'l', content: 'd', mode: 0o120777 },
      { name: 'l/evil', content: 'x' },
    ],
    /lies below a link/,
  ],
  ['an endless link', [{ name: 'l', content: 'x'.repeat(5000), mode: 0o120777 }], /target is too long/],
  ['a device', [{ name: 'dev', mode: 0o020666 }], /"dev" is a device/],
  ['a fifo', [{ name: 'pipe', mode: 0o010666 }], /a named pipe/],
  ['an encrypted file', [{ name: 'f', content: 'x', flags: 0x801 }], /"f" is encrypted/],
  ['a method that is not supported', [{ name: 'f', content: 'x', method: 12 }], /not supported/],
  ['a name that is not UTF-8', [{ name: Buffer.from([0x66, 0xff]) }], /not UTF-8/],
  ['a name with NUL', [{ name: 'a\0b' }], /NUL/],
  ['a size that lies', [{ name: 'f', content: 'x'.repeat(5000), size: 10 }], /too many bytes|no zip archive/],
];

test.each(zipAttacks)('a zip with %s is refused', async (_what, entries, message) => {
  expect(await refuse(writeZip(entries), 'zip')).toMatch(message);
});

test.each<[Kind, Buffer]>([
  ['tar', writeTar([{ name: 'f', content: 'x'.repeat(2000) }])],
  ['tar.gz', writeTarGz([{ name: 'f', content: 'x'.repeat(2000) }])],
  ['zip', writeZip([{ name: 'f', content: 'x'.repeat(2000) }])],
])('a %s that is cut anywhere is refused', async (kind, body) => {
  for (let kept = 0; kept < body.length; kept += kind === 'tar' ? 256 : 7) {
    if (kind === 'tar' && body.subarray(kept - 512, kept).every((byte) => byte === 0) && kept > 0) continue;
    expect(await refuse(body.subarray(0, kept), kind)).toMatch(/can be read to its end|not complete/);
  }
});

test('what is no archive at all is refused', async () => {
  const text = Buffer.from('FROM busybox\n'.repeat(100));
  for (const kind of ['tar', 'tar.gz', 'zip'] as const) {
    expect(await refuse(text, kind)).toContain(`no ${kind} archive`);
  }
});

const many = Array.from({ length: 11 }, (_each, at) => ({ name: `f${at}`, content: 'x' }));
const zeros = Buffer.alloc(1024 * 1024);
test.each<[string, Kind, Buffer, Partial<SourceLimits>, RegExp]>([
  ['entries', 'tar', writeTar(many), { entries: 10 }, /more than 10 entries/],
  ['entries', 'zip', writeZip(many), { entries: 10 }, /more than 10 entries/],
  ['bytes', 'tar', writeTar([{ name: 'f', content: zeros }]), { unpackedBytes: 65_536 }, /more than 64 KiB/],
  [
    'bytes',
    'tar.gz',
    writeTarGz([{ name: 'f', content: zeros }]),
    { unpackedBytes: 65_536 },
    /more than 64 KiB/,
  ],
  ['bytes', 'zip', writeZip([{ name: 'f', content: zeros }]), { unpackedBytes: 65_536 }, /more than 64 KiB/],
  [
    'the ratio',
    'tar.gz',
    writeTarGz([{ name: 'f', content: zeros }]),
    { ratioFreeBytes: 0 },
    /200 times its size/,
  ],
  [
    'the ratio',
    'zip',
    writeZip([{ name: 'f', content: zeros }]),
    { ratioFreeBytes: 0 },
    /200 times its size/,
  ],
  [
    'entries made of folders',
    'tar',
    writeTar([{ name: 'a/b/c/d/e', content: 'x' }]),
    { entries: 4 },
    /more than 4 entries/,
  ],
  ['depth', 'tar', writeTar([{ name: 'a/b/c/d', content: 'x' }]), { depth: 3 }, /more than 3 folders deep/],
  [
    'a name',
    'tar',
    writeTar([paxEntry({ path: 'n'.repeat(256) }), file]),
    {},
    /a part of more than 255 bytes/,
  ],
  ['a path', 'zip', writeZip([{ name: 'ab/'.repeat(1366) }]), {}, /a name of more than 4095 bytes/],
  [
    'a link',
    'tar',
    writeTar([paxEntry({ linkpath: 'ab/'.repeat(99_999) }), { name: 'l', type: '2' }]),
    {},
    /too long/,
  ],
])('the limit of %s holds for a %s', async (_what, kind, body, limits, message) => {
  expect(await refuse(body, kind, limits)).toMatch(message);
});

test('a bomb of headers that describe no file is refused too', async () => {
  const padding = paxEntry({ comment: 'x'.repeat(100_000) });
  const body = writeTarGz(Array.from({ length: 20 }, () => padding));
  expect(await refuse(body, 'tar.gz', { unpackedBytes: 1024 * 1024 })).toContain('more than 1 MiB');
});

test('a chain of more links than Linux follows is refused, a circle is not', async () => {
  const chain = Array.from({ length: 60 }, (_each, at) => ({
    name: `l${at}`,
    type: '2',
    link: `l${at + 1}`,
  }));
  expect(await refuse(writeTar(chain), 'tar')).toContain('a chain of more than 40 links');

  await using place = await createWorkplace();
  const archive = join(place.directory, 'package');
  const circle = [
    { name: 'a', type: '2', link: 'b' },
    { name: 'b', type: '2', link: 'a/..' },
    { name: 'self', type: '2', link: 'self' },
  ];
  await writeFile(archive, writeTar(circle));
  const call = { limits: defaultSourceLimits, searchPath, signal };
  await unpackArchive(archive, 'tar', join(place.directory, 'context'), call);
  expect(await readdir(join(place.directory, 'context'))).toEqual(['a', 'b', 'self']);
});

test('names in messages are shortened, and their control characters escaped', async () => {
  const message = await refuse(writeTar([paxEntry({ path: `/\u001b[31m${'n'.repeat(3000)}` }), file]), 'tar');
  expect(message).toContain('\\u001b[31m');
  expect(message.length).toBeLessThan(400);
});

test('a folder that someone swaps for a link while entries are written does not lead outside', async () => {
  await using place = await createWorkplace();
  const content = async function* () {
    yield await Promise.resolve(Buffer.from('x'));
  };
  const attributes = { mode: 0o644, mtime: null };
  const elsewhere = join(place.outside, 'elsewhere');
  await mkdir(elsewhere);
  using destination = openDestination(place.directory, defaultSourceLimits);
  await destination.file('a/b/first', attributes, content());
  await destination.file('other', attributes, content());
  await rename(join(place.directory, 'a'), join(place.directory, 'moved'));
  await symlink(elsewhere, join(place.directory, 'a'));
  await mkdir(join(elsewhere, 'b'));
  await expect(destination.file('a/second', attributes, content())).rejects.toThrow(/ENOTDIR|ELOOP/);
  await expect(destination.file('a/b/third', attributes, content())).rejects.toThrow(/ENOTDIR|ELOOP/);
  expect(() => destination.hardlink('here', 'a/b/first')).toThrow(/ENOTDIR|ELOOP/);
  await expect(destination.finish()).rejects.toThrow(/ENOTDIR|ELOOP/);
  expect(await readdir(join(elsewhere, 'b'))).toEqual([]);
  expect(await readdir(elsewhere)).toEqual(['b']);
});

test.each<[Kind, Buffer]>([
  ['tar.gz', writeTarGz([{ name: 'f', content: Buffer.alloc(32 * 1024 * 1024) }])],
  ['zip', writeZip([{ name: 'f', content: Buffer.alloc(32 * 1024 * 1024) }])],
])('an abort ends the unpacking of a %s with its own reason', async (kind, body) => {
  await using place = await createWorkplace();
  const archive = join(place.directory, 'package');
  await writeFile(archive, body);
  const abort = new AbortController();
  const call = { limits: defaultSourceLimits, searchPath, signal: abort.signal };
  const unpacking = unpackArchive(archive, kind, join(place.directory, 'context'), call);
  setImmediate(() => abort.abort(new Error('cancelled')));
  await expect(unpacking).rejects.toThrow('cancelled');
});

test('a disk that refuses is not taken for a damaged archive', async () => {
  await using place = await createWorkplace();
  const archive = join(place.directory, 'package');
  await writeFile(archive, writeTar([{ name: 'f', content: 'x' }]));
  await mkdir(join(place.directory, 'context'));
  const call = { limits: defaultSourceLimits, searchPath, signal };
  await expect(unpackArchive(archive, 'tar', join(place.directory, 'context'), call)).rejects.toMatchObject({
    code: 'EEXIST',
  });
});
