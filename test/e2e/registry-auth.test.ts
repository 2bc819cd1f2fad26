import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Build } from '../../src/contract/api.ts';
import { importBaseImage } from '../../lab/base-image.ts';
import { startRegistry, type LabRegistry } from '../../lab/registry.ts';
import { createEngine } from '../../src/worker/engine/index.ts';
import { recordCall } from '../worker/engine/support.ts';
import { ended, logOf, placesOf, quayBuild, startE2e, submit, type E2e } from './support.ts';

/** A build is someone at the registries that it names, and nobody anywhere else. */

const PASSWORD = 'correct-horse';
/** Its bcrypt. */
const HTPASSWD = 'robot:$2y$05$abcdefghijklmnopqrstuuZ0Fx87Pb/Aqb0E90lfvCwzXnaFKUHpS\n';

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
