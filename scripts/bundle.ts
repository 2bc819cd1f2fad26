/**
 * Bundles each program into a folder of its own below the given one, with what it uses of npm: Node then reads a few files at start rather
 * than hundreds. What a program loads later lies in files of its own beside `main.js`, as do the files that it reads at run time. Types are
 * `tsc`'s to check (`make lint`).
 */
import { cp, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { build } from 'esbuild';
import { common, program as options, programs, ROOT } from './bundling.ts';
import { noticesOf } from './license-notices.ts';

/** Packages from before ES modules call `require`, which a module has to make for itself. */
const REQUIRE =
  "import { createRequire as requireFor } from 'node:module'; const require = requireFor(import.meta.url);";

/** What the package exports to other code, whose types `tsconfig.types.json` makes of the same. */
const INTERFACES = ['src/contract/api.ts', 'src/contract/index.ts'];

const [directory] = process.argv.slice(2);
if (directory === undefined) throw new Error('usage: scripts/bundle.ts DIRECTORY');
await build({ ...common, format: 'esm', entryPoints: ['src/start.ts'], outdir: directory });
await build({
  ...common,
  format: 'esm',
  entryPoints: INTERFACES,
  outdir: join(directory, 'contract'),
  splitting: true,
  packages: 'external',
});
await Promise.all(
  Object.entries(programs).map(async ([program, folders]) => {
    const outdir = join(directory, program);
    const { metafile } = await build({
      ...options,
      format: 'esm',
      entryPoints: [`src/${program}/main.ts`],
      outdir,
      splitting: true,
      banner: { js: REQUIRE },
      metafile: true,
    });
    await writeFile(join(outdir, 'THIRD-PARTY-LICENSES'), await noticesOf(metafile));
    for (const folder of folders)
      await cp(join(ROOT, folder), join(outdir, basename(folder)), { recursive: true });
  }),
);
