import { once } from 'node:events';
import { chmod, chown, mkdir, mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { connect, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { z } from 'zod';
import { startDatabaseServer } from '../../../lab/database.ts';
import { startEngine } from '../../../lab/engine.ts';
import { freePort } from '../../../lab/ports.ts';
import type { LabProcess } from '../../../lab/process.ts';
import { workerListSchema } from '../../../src/contract/api.ts';
import { followGuide, type FollowedGuide } from './guide.ts';
import { copyPrograms, makePod, type Pod } from './pods.ts';
import { programOf } from './settings.ts';

/** Manager and worker, run as their manifests say: environment, files, users and modes, but for addresses and ports. */

const stack = new AsyncDisposableStack();
const ports = { http: 0, wamp: 0 };
let folder: string;
let programs: string;
let guide: FollowedGuide;
let manager: Pod;
let running: LabProcess;

/** PostgreSQL at a port of the loopback, where any user reaches it. */
async function openDatabase(): Promise<string> {
  const server = stack.use(await startDatabaseServer());
  const url = new URL((await server.createEmptyDatabase()).url);
  const socket = join(url.searchParams.get('host') ?? '', '.s.PGSQL.5432');
  const door = createServer((near) => {
    const far = connect({ path: socket });
    near.on('error', () => far.destroy()).on('close', () => far.destroy());
    far.on('error', () => near.destroy()).on('close', () => near.destroy());
    near.pipe(far).pipe(near);
  });
  door.listen(0, '127.0.0.1');
  await once(door, 'listening');
  stack.defer(() => void door.close());
  const { port } = door.address() as AddressInfo;
  return `postgresql://${url.username}@127.0.0.1:${port}${url.pathname}`;
}

/** A folder for a pod, which any user may enter. */
async function podFolder(name: string): Promise<string> {
  const path = join(folder, name);
  await mkdir(path);
  return path;
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kubernetes-pods-'));
  await chmod(folder, 0o755);
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  programs = await copyPrograms(folder);
  guide = await followGuide(await podFolder('guide'), await openDatabase());
  Object.assign(ports, { http: await freePort(), wamp: await freePort() });
  manager = await makePod({
    folder: await podFolder('manager'),
    name: 'quay-build-manager-1',
    objects: guide.objects,
    program: programOf(guide.objects, 'manager'),
    file: 'quay-build-manager',
    programs,
    elsewhere: { '0.0.0.0:8686': `0.0.0.0:${ports.http}`, '0.0.0.0:8787': `0.0.0.0:${ports.wamp}` },
  });
  running = manager.start();
  stack.use(running);
  await running.printed(/manager is ready/);
});
afterAll(() => stack.disposeAsync());

const ask = (path: string, token = ''): Promise<Response> =>
  fetch(`http://127.0.0.1:${ports.http}${path}`, {
    headers: token ? { authorization: `Bearer ${token}` } : {},
  });

it('a manager answers its probes, and lets nobody in without a token', async () => {
  const { container } = programOf(guide.objects, 'manager');
  for (const probe of [container.startupProbe, container.livenessProbe, container.readinessProbe]) {
    expect((await ask(probe?.httpGet?.path ?? '')).status).toBe(200);
  }
  expect((await ask('/api/v1/builds')).status).toBe(401);
  expect((await ask('/api/v1/builds', guide.token)).status).toBe(200);
  await expect(manager.exec(['quay-build-manager', 'health'])).resolves.toBeDefined();
});

it('Prometheus gets the metrics where its example looks for them', async () => {
  const monitor = await readFile(
    join(import.meta.dirname, '../../../deploy/kubernetes/examples/pod-monitor.yaml'),
    'utf8',
  );
  const path = /^ +path: (\S+)$/m.exec(monitor)?.[1] ?? '';
  const token = await readFile(join(folder, 'guide/quay-build-secrets/prometheus.token'), 'utf8');
  // A database that is slow to answer is left out of one answer.
  const metrics = async (): Promise<string> => (await ask(path, token.trim())).text();
  await expect.poll(metrics).toContain('quay_build_queue_builds');
});

it('a worker registers by the ticket of its secret, on an engine that it reaches by a group', async () => {
  const engine = stack.use(await startEngine());
  const workerFolder = await podFolder('worker');
  const program = programOf(guide.objects, 'worker');
  const worker = await makePod({
    folder: workerFolder,
    name: 'quay-builder-0',
    objects: guide.objects,
    program,
    file: 'quay-builder',
    programs,
    elsewhere: { 'quay-build-manager.quay-build.svc:8787': `127.0.0.1:${ports.wamp}` },
  });
  // The engine is another user's; its socket is the group's that the manifest names.
  await chown(
    engine.socket,
    0,
    programOf(guide.objects, 'engine').container.securityContext?.runAsGroup ?? 0,
  );
  await chmod(engine.socket, 0o660);
  await chmod(dirname(engine.socket), 0o711);
  await symlink(engine.socket, worker.pathOf('/engine/docker.sock'));
  const started = stack.use(worker.start());
  await started.printed(/worker is ready/);
  await expect
    .poll(
      async () => workerListSchema.parse(await (await ask('/api/v1/workers', guide.token)).json()).workers,
    )
    .toMatchObject([{ id: 'quay-builder-0', manager: 'quay-build-manager-1' }]);
  for (const probe of [
    program.container.startupProbe,
    program.container.livenessProbe,
    program.container.readinessProbe,
  ]) {
    const command = probe?.exec?.command ?? [];
    await expect.poll(() => worker.exec(command).then(() => 'passes', String)).toBe('passes');
  }
});

const entriesOf = async (path: string): Promise<unknown[]> =>
  z.array(z.unknown()).parse(JSON.parse(await readFile(path, 'utf8')));

/** What of the guide's files goes into a secret, by its key. */
const secretOf = async (keys: readonly string[]): Promise<Record<string, string>> =>
  Object.fromEntries(
    await Promise.all(
      keys.map(async (key): Promise<[string, string]> => [
        key,
        await readFile(join(folder, 'guide/quay-build-secrets', key), 'utf8'),
      ]),
    ),
  );

it('a token that the secret is given later counts without a restart', async () => {
  const secrets = '/etc/quay-build-manager/secrets';
  const file = join(folder, 'guide/quay-build-secrets/api-tokens.json');
  const token = (
    await manager.exec([
      'quay-build-manager',
      'token',
      'late',
      '--scope',
      'read',
      '--file',
      manager.pathOf('/tmp/late.json'),
    ])
  ).trim();
  expect((await ask('/api/v1/builds', token)).status).toBe(401);
  const entries = await Promise.all([file, manager.pathOf('/tmp/late.json')].map(entriesOf));
  await manager.replaceSecret(secrets, {
    ...(await secretOf(['database-url', 'secret.key', 'tickets.json'])),
    'api-tokens.json': JSON.stringify(entries.flat()),
  });
  await expect.poll(async () => (await ask('/api/v1/builds', token)).status).toBe(200);
});

it('told to stop, a manager is not ready any more, and alive until it ends', async () => {
  running.kill('SIGTERM');
  await expect.poll(async () => (await ask('/readyz')).status).toBe(503);
  expect((await ask('/livez')).status).toBe(200);
  // Nobody waits here.
  running.kill('SIGTERM');
  expect(await running.exited).toBe(0);
});
