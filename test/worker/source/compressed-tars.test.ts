import { spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startPackageServer, type LabPackageServer } from '../../../lab/package-server.ts';
import { createSourceFetcher, type SourceFetcherOptions } from '../../../src/worker/source/index.ts';
import { createWorkplace, fetchInto, refusal, type Workplace } from './harness.ts';
import { processesIn } from './processes.ts';
import { writeTar } from './tar-writer.ts';

let server: LabPackageServer;
beforeAll(async () => {
  server = await startPackageServer();
});
afterAll(() => server.stop());

function pack(program: 'bzip2' | 'xz', input: Uint8Array): Buffer {
  const { stdout, status } = spawnSync(program, ['-c'], { input, maxBuffer: 1024 ** 3 });
  expect(status).toBe(0);
  return stdout;
}

const tar = writeTar([
  { name: 'Dockerfile', content: 'FROM packed\n' },
  { name: 'bin/run', content: 'x'.repeat(1_000_000) },
]);

function fetchBytes(
  place: Workplace,
  body: Uint8Array,
  contentType: string | null,
  options: SourceFetcherOptions = {},
) {
  server.serve('/package', { kind: 'bytes', body, contentType });
  return fetchInto(place, createSourceFetcher(options), { build_package: `${server.url}/package` });
}

test.each([
  ['bzip2', null],
  ['bzip2', 'application/x-bzip2'],
  ['bzip2', 'application/gzip'],
  ['xz', 'application/octet-stream'],
  ['xz', 'application/x-xz'],
  ['xz', 'application/x-tar'],
] as const)('a tar packed by %s, served as %s, is unpacked', async (program, contentType) => {
  await using place = await createWorkplace();
  const { source } = await fetchBytes(place, pack(program, tar), contentType);
  expect(source.base.name).toBe('packed');
  const content = await readFile(join(source.contextDirectory, 'bin/run'), 'utf8');
  expect(content).toBe('x'.repeat(1_000_000));
});

test.each(['bzip2', 'xz'] as const)(
  'what %s cannot read to its end is refused as damaged',
  async (program) => {
    const whole = pack(program, tar);
    const broken = Buffer.from(whole);
    broken[Math.floor(whole.length / 2)] = (broken[Math.floor(whole.length / 2)] ?? 0) ^ 0xff;
    for (const body of [whole.subarray(0, whole.length - 10), broken, pack(program, Buffer.from('no tar'))]) {
      await using place = await createWorkplace();
      await refusal(fetchBytes(place, body, null), 'cannotextractbuildpack');
    }
  },
);

test.each(['bzip2', 'xz'] as const)(
  'a bomb packed by %s is given up at the limit, and its program ends',
  async (program) => {
    const bomb = pack(program, writeTar([{ name: 'zeros', content: Buffer.alloc(64 * 1024 * 1024) }]));
    await using place = await createWorkplace();
    const options = { limits: { ratioFreeBytes: 1024 * 1024 } };
    const { message } = await refusal(fetchBytes(place, bomb, null, options), 'cannotextractbuildpack');
    expect(message).toContain('decompression bomb');
    expect(await processesIn(place.outside)).toEqual([]);
  },
);

test('a worker without the program says so, and what to send instead', async () => {
  await using place = await createWorkplace();
  const fetching = fetchBytes(place, pack('xz', tar), null, { searchPath: place.outside });
  expect((await refusal(fetching, 'dockerfileissue')).message).toMatch(
    /packed by xz, which this worker does not have/,
  );
});

test('a Dockerfile that begins as bzip2 does is a Dockerfile', async () => {
  await using place = await createWorkplace();
  await refusal(fetchBytes(place, Buffer.from('BZh91\n'), 'text/plain'), 'dockerfileissue');
});
