import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Build } from '../../src/contract/api.ts';
import { importBaseImage } from '../../lab/base-image.ts';
import { run } from '../../lab/process.ts';
import { startRegistry, type LabRegistry } from '../../lab/registry.ts';
import { createEngine } from '../../src/worker/engine/index.ts';
import { recordCall } from '../worker/engine/support.ts';
import { commandLines, ended, logOf, placesOf, quayBuild, startE2e, submit, type E2e } from './support.ts';

/** A build is someone at the registries that it names, and nobody anywhere else. */

const PASSWORD = 'correct-horse';
/** Its bcrypt. */
const HTPASSWD = 'robot:$2y$05$abcdefghijklmnopqrstuuZ0Fx87Pb/Aqb0E90lfvCwzXnaFKUHpS\n';

const QUAY_BUILD_MANAGER = resolve(import.meta.dirname, '../../bin/quay-build-manager');

let e2e: E2e;
let guarded: LabRegistry;
let base: string;
/** A registry that asks who one is, and what it was told. */
let spy: Server;
let spyHost: string;
const told: string[] = [];

beforeAll(async () => {
  e2e = await startE2e({ registryAuth: 'open' });
  const path = join(e2e.directory, 'htpasswd');
  await writeFile(path, HTPASSWD);
  guarded = await startRegistry({ kind: 'htpasswd', path });
  base = `${guarded.host}/private/base`;
  await importBaseImage(e2e.engine, `${base}:1`);
  const engine = createEngine({ dockerHost: e2e.engine.dockerHost, builder: 'auto' });
  await engine.push(base, '1', { username: 'robot', password: PASSWORD }, recordCall());
  await e2e.engine.docker(['rmi', `${base}:1`]);
  spy = createServer((request, response) => {
    if (request.headers.authorization !== undefined) told.push(request.headers.authorization);
    response.writeHead(401, { 'www-authenticate': 'Basic realm="spy"' }).end();
  }).listen(0, '127.0.0.1');
  await once(spy, 'listening');
  spyHost = `127.0.0.1:${(spy.address() as AddressInfo).port}`;
});
afterAll(async () => {
  spy.close();
  await guarded.stop();
  await e2e[Symbol.asyncDispose]();
});

it('has its bases from a private registry by a password of a file, which is seen nowhere', async () => {
  const { farm, engine, directory } = e2e;
  const worker = await farm.startWorker(engine);
  const dockerfile = join(directory, 'Dockerfile');
  await writeFile(dockerfile, `FROM ${base}:1\nRUN printf '%s%s was printed' correct- horse; echo\n`);
  await writeFile(join(directory, 'password'), `${PASSWORD}\n`);
  const { code, stdout, stderr } = await quayBuild(farm, [
    ...['submit', dockerfile, '--repository', 'team/app', '--json'],
    ...['--registry-auth', `host=${guarded.host},user=robot,src=${join(directory, 'password')}`],
  ]);
  expect(code, stderr).toBe(0);
  expect(stderr).toContain('*** was printed');
  const basic = Buffer.from(`robot:${PASSWORD}`).toString('base64');
  expect(await placesOf([PASSWORD, basic], e2e, worker, { answer: stdout + stderr })).toEqual([]);

  // The base is on the engine now; who shows no password has it no more than before.
  const { id } = await submit(farm, { repository: 'others/app' }, await fileOf(dockerfile));
  expect((await ended(farm, id)).error).toMatchObject({ code: 'cannotpullbaseimage' });
  await worker.stop();
});

it("has them by what its namespace has stored, and pushes with that, which is seen nowhere and is no other namespace's", async () => {
  const { farm, engine, directory } = e2e;
  const worker = await farm.startWorker(engine);
  const credentials = ['credentials', 'set', '--namespace', 'keepers', '--registry', guarded.host];
  const set = await quayBuild(
    farm,
    [...credentials, '--username', 'robot', '--password-stdin'],
    `${PASSWORD}\n`,
  );
  expect(set.code, set.stderr).toBe(0);
  const listed = await quayBuild(farm, ['credentials', 'list', '--namespace', 'keepers', '--json']);
  expect(JSON.parse(listed.stdout)).toMatchObject({
    credentials: [{ registry: guarded.host, username: 'robot' }],
  });

  const lines = ['FROM BASE', "RUN printf '%s%s was printed again' correct- horse; echo", 'RUN sleep 1'];
  const dockerfile = new TextEncoder().encode(lines.join('\n').replace('BASE', `${base}:1`));
  const request = { repository: 'keepers/app', registry: guarded.host, tag_names: ['v1'] };
  const { id } = await submit(farm, request, dockerfile);
  const processes: string[] = [];
  const looking = setInterval(() => void commandLines().then((text) => processes.push(text)), 100);
  const build = await ended(farm, id).finally(() => clearInterval(looking));
  expect(build, await logOf(farm, id)).toMatchObject({ state: 'complete' });
  const log = await logOf(farm, id);
  expect(log).toContain('*** was printed again');
  const answers = JSON.stringify(build) + log + set.stdout + set.stderr + listed.stdout;
  const seen = { answers, processes: processes.join('\n') };
  const basic = Buffer.from(`robot:${PASSWORD}`).toString('base64');
  expect(await placesOf([PASSWORD, basic], e2e, worker, seen)).toEqual([]);

  const backup = join(directory, 'backup');
  await run(QUAY_BUILD_MANAGER, ['backup', backup], {
    env: { PATH: process.env['PATH'], DATA_DIR: farm.dataDirectory },
  });
  const saved = gunzipSync(await readFile(backup)).toString('latin1');
  expect(saved).toContain('robot');
  expect(saved).not.toContain(PASSWORD);

  const other = await submit(farm, { ...request, repository: 'strangers/app' }, dockerfile);
  expect((await ended(farm, other.id)).error).toMatchObject({ code: 'cannotpullbaseimage' });
  const spied = new TextEncoder().encode(`FROM ${spyHost}/team/base:1\n`);
  const spy = await submit(farm, { repository: 'keepers/spied' }, spied);
  expect((await ended(farm, spy.id)).error).toMatchObject({ code: 'cannotpullbaseimage' });
  expect(told).toEqual([]);
  const removed = await quayBuild(farm, [
    'credentials',
    'remove',
    '--namespace',
    'keepers',
    '--registry',
    guarded.host,
  ]);
  expect(removed.code, removed.stderr).toBe(0);
  const after = await submit(farm, request, dockerfile);
  expect((await ended(farm, after.id)).error).toMatchObject({ code: 'cannotpullbaseimage' });
  await worker.stop();
});

it('shows a password to its own host alone', async () => {
  const { farm, engine } = e2e;
  const worker = await farm.startWorker(engine);
  const { id } = await submit(
    farm,
    {
      repository: 'team/app',
      registry_auth: { [guarded.host]: { username: 'robot', password: PASSWORD } },
      cache_from: [`${spyHost}/team/cache:1`],
    },
    new TextEncoder().encode(`FROM ${base}:1\nCOPY --from=${spyHost}/team/tools:1 / /\n`),
  );
  const build = await ended(farm, id);
  expect(build.error?.base_error, await logOf(farm, id)).toMatch(/team\/tools.*no basic auth credentials/);
  expect(told).toEqual([]);
  await worker.stop();
});

it('pushes to a further registry where the worker lets builds do that, as who the build is there', async () => {
  const { farm, engine } = e2e;
  const worker = await farm.startWorker(engine, { PUSH_TO: `${guarded.host}/team` });
  const submitTo = async (reference: string, password: string): Promise<Build> => {
    const request = {
      repository: 'team/app',
      tag_names: ['v7'],
      registry_auth: { [guarded.host]: { username: 'robot', password } },
      push_to: [reference],
    };
    const dockerfile = 'FROM busybox:stable\nRUN echo pushed twice > /where\n';
    const { id } = await submit(farm, request, new TextEncoder().encode(dockerfile));
    const build = await ended(farm, id);
    expect(await logOf(farm, id)).not.toContain(password);
    return build;
  };
  const further = `${guarded.host}/team/copy:v7`;
  const pushed = await submitTo(further, PASSWORD);
  expect(pushed).toMatchObject({ state: 'complete', push_to: [further] });
  const authorization = `Basic ${Buffer.from(`robot:${PASSWORD}`).toString('base64')}`;
  const there = await fetch(`http://${guarded.host}/v2/team/copy/manifests/v7`, {
    method: 'HEAD',
    headers: { authorization, accept: 'application/vnd.docker.distribution.manifest.v2+json' },
  });
  expect(there.headers.get('docker-content-digest')).toBe(pushed.digests['v7']);
  expect(await engine.docker(['images', '--quiet', further])).toBe('');

  const denied = await submitTo(`${guarded.host}/team/other:v7`, 'not-the-password');
  expect(denied).toMatchObject({ state: 'error', error: { code: 'pushissue' } });
  const refused = await submitTo(`${guarded.host}/teams/copy:v7`, PASSWORD);
  expect(refused).toMatchObject({ state: 'error', error: { code: 'builderror' } });
  expect(refused.error?.base_error).toContain('PUSH_TO');
  expect(told).toEqual([]);
  await worker.stop();
});

async function fileOf(path: string): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await readFile(path));
}
