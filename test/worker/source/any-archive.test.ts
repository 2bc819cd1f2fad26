import { readdir, realpath, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { unpackArchive } from '../../../src/worker/source/archive/unpack.ts';
import { defaultSourceLimits } from '../../../src/worker/source/limits.ts';
import { createWorkplace } from './harness.ts';
import { paxEntry, writeTar, writeTarGz } from './tar-writer.ts';
import { writeZip } from './zip-writer.ts';

const signal = new AbortController().signal;
const searchPath = process.env['PATH'] ?? '';

/** Names as an attacker would mix them, and the bytes of any text. */
const name = fc.oneof(
  fc
    .array(fc.constantFrom('..', '.', '', 'a', 'b', 'l', 'ü', '\\', '...', ' '), {
      minLength: 1,
      maxLength: 6,
    })
    .map((parts) => parts.join('/')),
  fc.string({ unit: 'binary', maxLength: 20 }),
);
const entry = fc.record({
  name,
  type: fc.constantFrom('0', '0', '1', '2', '2', '5'),
  link: name,
  content: fc.constantFrom('', 'x'),
});

/** Where the links below a folder end, those aside that end nowhere. */
async function linkEnds(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true });
  const links = entries.filter((each) => each.isSymbolicLink());
  const ends = links.map((each) => realpath(join(each.parentPath, each.name)).catch(() => null));
  return (await Promise.all(ends)).filter((end) => end !== null);
}

test('whatever an archive holds, nothing comes to lie outside of its folder, and no link leads there', async () => {
  await using place = await createWorkplace();
  let round = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(entry, { maxLength: 8 }), async (entries) => {
      round += 1;
      const archive = join(place.directory, `package-${round}`);
      const context = join(place.directory, `context-${round}`);
      const whole = entries.map((each) => (each.type === '0' ? each : { ...each, content: '' }));
      await writeFile(archive, writeTar(whole));
      await unpackArchive(archive, 'tar', context, { limits: defaultSourceLimits, searchPath, signal }).catch(
        (error: unknown) =>
          expect(error).toMatchObject({ name: 'BuildError', code: 'cannotextractbuildpack' }),
      );
      expect(await place.leftOutside()).toEqual([]);
      const beside = (await readdir(place.directory)).filter(
        (each) => !/^(?:package|context)-\d+$/.test(each),
      );
      expect(beside).toEqual([]);
      for (const end of await linkEnds(context)) expect(`${end}/`).toContain(`${context}/`);
    }),
    { numRuns: 500 },
  );
});

const whole: ['tar' | 'tar.gz' | 'zip', Buffer][] = [
  [
    'tar',
    writeTar([
      { name: 'd/', type: '5' },
      { name: 'd/f', content: 'x'.repeat(700) },
      paxEntry({ mtime: '1.5' }),
      { name: 'g', content: 'x' },
    ]),
  ],
  [
    'tar.gz',
    writeTarGz([
      { name: 'd/f', content: 'x'.repeat(700) },
      { name: 'l', type: '2', link: 'd/f' },
    ]),
  ],
  [
    'zip',
    writeZip([
      { name: 'd/f', content: 'x'.repeat(700) },
      { name: 'l', content: 'd/f', mode: 0o120777 },
    ]),
  ],
];

test.each(whole)(
  'a %s with any of its bytes changed is unpacked or refused, and harms nobody',
  async (kind, body) => {
    await using place = await createWorkplace();
    let round = 0;
    const change = fc.record({ at: fc.nat(body.length - 1), byte: fc.nat(255) });
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 4 }), async (changes) => {
        round += 1;
        const damaged = Buffer.from(body);
        for (const { at, byte } of changes) damaged[at] = byte;
        const archive = join(place.directory, `package-${round}`);
        await writeFile(archive, damaged);
        const call = { limits: { ...defaultSourceLimits, unpackedBytes: 1024 * 1024 }, searchPath, signal };
        await unpackArchive(archive, kind, join(place.directory, `context-${round}`), call).catch(
          (error: unknown) =>
            expect(error).toMatchObject({ name: 'BuildError', code: 'cannotextractbuildpack' }),
        );
        expect(await place.leftOutside()).toEqual([]);
      }),
      { numRuns: 200 },
    );
  },
);
