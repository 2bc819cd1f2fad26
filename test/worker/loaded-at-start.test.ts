import { join, relative } from 'node:path';
import { build, type Metafile } from 'esbuild';
import { expect, it } from 'vitest';

/** What a worker is ready without, and loads when it is first used: together they would double its time to be ready, and its memory. */
const LATER = ['undici', 'dockerode', 'protobufjs', 'dockerfile-ast', 'tar-stream', 'yauzl', 'pino-pretty'];
const ROOT = join(import.meta.dirname, '../..');
const MAIN = 'src/worker/main.ts';

it('is not what only builds, proxies and people need', async () => {
  const { metafile } = await build({
    absWorkingDir: ROOT,
    entryPoints: [MAIN],
    bundle: true,
    write: false,
    metafile: true,
    outdir: 'never-written',
    platform: 'node',
    format: 'esm',
    splitting: true,
    external: ['dockerode', 'autobahn'],
  });
  const packages = [...loadedAtStart(metafile, MAIN)].map(packageOf);
  expect(packages).toContain('ws');
  expect(packages.filter((each) => LATER.includes(each))).toEqual([]);
});

/** The files that are loaded with this one. */
function loadedAtStart(metafile: Metafile, path: string, loaded = new Set<string>()): Set<string> {
  if (loaded.has(path)) return loaded;
  loaded.add(path);
  for (const { path: next, kind } of metafile.inputs[path]?.imports ?? []) {
    if (kind !== 'dynamic-import') loadedAtStart(metafile, next, loaded);
  }
  return loaded;
}

function packageOf(path: string): string {
  const inside = /^node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1];
  return inside ?? relative('.', path);
}
