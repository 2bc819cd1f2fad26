import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { expect, it } from 'vitest';
import { folderPrefix } from '../lab/orphans.ts';
import { licenseProblems, lockedPackages } from '../scripts/license-policy.ts';

/** What `make licenses` refuses, and what `make build` leaves of others' licences. */

/** The packages of a project that depends on these. */
async function installed(packages: Readonly<Record<string, object>>): ReturnType<typeof lockedPackages> {
  const directory = await mkdtemp(`${folderPrefix()}licenses-`);
  try {
    const entries: [string, object][] = Object.entries(packages).map(([name, fields]): [string, object] => [
      `node_modules/${name}`,
      { version: '1.0.0', ...fields },
    ]);
    const lock = {
      lockfileVersion: 3,
      packages: { '': { name: 'project' }, ...Object.fromEntries(entries) },
    };
    await writeFile(join(directory, 'package-lock.json'), JSON.stringify(lock));
    return await lockedPackages(directory);
  } finally {
    await rm(directory, { recursive: true });
  }
}

it('refuses what Apache-2.0 cannot carry, and what does not say, also deep down and for other machines', async () => {
  const packages = await installed({
    fine: { license: 'MIT' },
    either: { license: '(GPL-2.0-only OR BSD-3-Clause)' },
    'fine/node_modules/copyleft': { license: 'GPL-3.0-or-later', optional: true, os: ['sunos'] },
    '@scope/both': { license: 'MIT AND LGPL-2.1-only' },
    elsewhere: { license: 'SEE LICENSE IN terms.html' },
    silent: {},
  });
  expect(licenseProblems(packages)).toEqual([
    expect.stringContaining('copyleft 1.0.0 is under GPL-3.0-or-later'),
    expect.stringContaining('@scope/both 1.0.0 is under MIT AND LGPL-2.1-only'),
    expect.stringContaining('elsewhere 1.0.0 is under SEE LICENSE IN terms.html'),
    'silent 1.0.0 does not say what its licence is',
  ]);
});

it('lets a tool have what it says of it, unless that is shipped', async () => {
  const packages = await installed({
    'lightningcss-linux-x64': { license: 'MPL-2.0' },
    lightning: { license: 'MPL-2.0' },
  });
  expect(licenseProblems(packages)).toEqual([expect.stringContaining('lightning 1.0.0')]);
  expect(licenseProblems(packages, packages)).toHaveLength(2);
});

it.each([
  ['worker', ['ws', 'dockerode', 'protobufjs', 'zod']],
  ['manager', ['fastify', 'pg', 'zod']],
  ['cli', ['commander', 'undici']],
])('goes with the %s: the texts of what it contains', async (program, names) => {
  const text = await readFile(
    resolve(import.meta.dirname, '../dist', program, 'THIRD-PARTY-LICENSES'),
    'utf8',
  );
  for (const name of names)
    expect(text).toMatch(new RegExp(`^${name} \\d[^\\n]* \\(.+\\)\\n=+\\n\\n[^=]`, 'm'));
  expect(text).not.toContain('vitest');
});
