import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FileTooLarge, readBounded, readBoundedSync } from '../../src/contract/bounded-file.ts';

/** Files of which nobody knows whether they are small. */

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bounded-file-'));
});
afterAll(() => rm(directory, { recursive: true }));

describe.each([
  ['as it comes', readBounded],
  [
    'at once',
    (path: string, maxBytes: number) => Promise.resolve().then(() => readBoundedSync(path, maxBytes)),
  ],
])('read %s', (_, read) => {
  it('are whole up to the limit, and refused beyond it', async () => {
    const path = join(directory, 'file');
    await writeFile(path, 'four');
    expect((await read(path, 4)).toString()).toBe('four');
    await expect(read(path, 3)).rejects.toThrow(FileTooLarge);
    await writeFile(path, '');
    expect(await read(path, 3)).toHaveLength(0);
  });

  it('may have no end, or be none', async () => {
    await expect(read('/dev/zero', 100_000)).rejects.toThrow('it has more than 100000 bytes');
    await expect(read(directory, 1)).rejects.toThrow('EISDIR');
    await expect(read(join(directory, 'nowhere'), 1)).rejects.toThrow('ENOENT');
  });
});

it('may be pipes, as a shell makes them of what a program prints', async () => {
  const program = `
    import { readBounded, readBoundedSync } from '${new URL('../../src/contract/bounded-file.ts', import.meta.url).href}';
    const [first, second] = process.argv.slice(1);
    process.stdout.write(readBoundedSync(first, 9) + ' ' + (await readBounded(second, 9)));`;
  const { stdout } = await promisify(execFile)('bash', [
    '-c',
    '"$0" --input-type=module --eval "$1" <(printf one) <(printf two)',
    process.execPath,
    program,
  ]);
  expect(stdout).toBe('one two');
});
