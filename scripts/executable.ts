/**
 * Makes a single executable of a program: `scripts/executable.ts worker executables/quay-builder`. It is Node itself, as installed here,
 * with the program's bundle in a note of its ELF file, which Node looks for at its start: nothing is unpacked, and nothing fetched here.
 */
import { execFile } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import { program as options, ROOT } from './bundling.ts';
import { noticesOf } from './license-notices.ts';

const run = promisify(execFile);

/** The programs that make sense as one file, and the flags of Node that `bin/launch` gives them. The manager brings a PostgreSQL. */
const FLAGS = {
  worker: ['--max-semi-space-size=2', '--heap-growing-percent=100'],
  cli: [],
} as const satisfies Record<string, readonly string[]>;
/** Node knows by this string, which it holds once, that there is something to run in it. */
const FUSE = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';

const { name, target } = readArguments(process.argv.slice(2));
await mkdir(dirname(target), { recursive: true });
const work = await mkdtemp(`${target}.new-`);
try {
  await bundle();
  await rename(await injectInto(await prepare()), target);
} finally {
  await rm(work, { recursive: true });
}

function readArguments([name, target]: readonly string[]): { name: keyof typeof FLAGS; target: string } {
  if ((name === 'worker' || name === 'cli') && target !== undefined) return { name, target };
  throw new Error(`usage: scripts/executable.ts ${Object.keys(FLAGS).join('|')} FILE`);
}

/** Leaves the program in one script, of the form that Node 24 embeds, and its map. */
async function bundle(): Promise<void> {
  const { outputFiles, metafile } = await build({
    ...options,
    stdin: {
      contents: `import './src/executable.ts'; import './src/${name}/main.ts';`,
      resolveDir: ROOT,
    },
    format: 'cjs',
    outfile: 'main.js',
    write: false,
    metafile: true,
  });
  const ofNode = await readFile(join(ROOT, 'licenses', `node-${process.versions.node}.txt`), 'utf8');
  await writeFile(
    `${target}.licenses`,
    await noticesOf(metafile, { [`Node ${process.versions.node}`]: ofNode }),
  );
  for (const { path, contents } of outputFiles)
    await writeFile(join(work, path.slice(ROOT.length + 1)), contents);
}

/** Makes what is embedded: the script, what V8 makes of it, the map. */
async function prepare(): Promise<string> {
  const configuration = {
    main: 'main.js',
    output: 'blob',
    disableExperimentalSEAWarning: true,
    useCodeCache: true,
    execArgv: FLAGS[name],
    assets: { 'main.js.map': 'main.js.map' },
  };
  await writeFile(join(work, 'sea.json'), JSON.stringify(configuration));
  // In its folder: what V8 keeps of a script names it, and this machine's paths are nobody else's business. With the program's flags:
  // V8 takes what it made itself under the same.
  await run(process.execPath, [...FLAGS[name], '--experimental-sea-config', 'sea.json'], { cwd: work });
  return join(work, 'blob');
}

/** Answers with a copy of this Node that has the blob in it. */
async function injectInto(blob: string): Promise<string> {
  const file = join(work, 'program');
  await copyFile(process.execPath, file);
  await run(join(ROOT, 'node_modules/.bin/postject'), [file, 'NODE_SEA_BLOB', blob, '--sentinel-fuse', FUSE]);
  return file;
}
