import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startBareWorker } from '../../lab/bare-worker.ts';
import { makeWorkerImage } from '../../lab/images.ts';
import { workerListSchema } from '../../src/contract/api.ts';
import {
  ended,
  endlessBuild,
  followUntil,
  hasBegun,
  hasBegunAgain,
  letGo,
  show,
  startE2e,
  submit,
  type E2e,
} from './support.ts';

/** A farm without a connected worker: executors start one for each build. */

let e2e: E2e;
const local = (overrides: object = {}): object => ({
  name: 'local',
  type: 'process',
  capacity: 2,
  environment: { DOCKER_HOST: e2e.engine.dockerHost },
  ...overrides,
});
const containers = (overrides: object = {}): object => ({
  name: 'containers',
  type: 'container',
  capacity: 2,
  image: 'quay-builder',
  engine: e2e.engine.dockerHost,
  socket: e2e.engine.socket,
  network: 'host',
  ...overrides,
});
/** One whose workers never come, because they find no engine; they try for half a minute. */
const lame = (): object => local({ name: 'lame', environment: { DOCKER_HOST: 'unix:///nowhere.sock' } });

beforeAll(async () => {
  e2e = await startE2e({
    env: {
      REGISTRATION: 'off',
      LEASE_SECONDS: '10',
      // Nobody waits so long.
      RESUME_GRACE_SECONDS: '240',
      MANAGER_ID: 'manager-1',
    },
    executors: ({ dockerHost }) => [
      { name: 'local', type: 'process', capacity: 2, environment: { DOCKER_HOST: dockerHost } },
    ],
  });
  await makeWorkerImage(e2e.engine, 'quay-builder');
});
afterAll(() => e2e[Symbol.asyncDispose]());

/** Has the manager end in this way, and come back with these executors. */
async function restart(signal: NodeJS.Signals, executors: readonly object[]): Promise<void> {
  await writeFile(join(e2e.directory, 'executors.json'), JSON.stringify(executors));
  await e2e.farm.restartManager(signal);
}

interface Hosted {
  readonly pid: number;
  readonly environment: ReadonlyMap<string, string>;
}

/** The processes that were started for hosted workers, also in containers. */
async function hostedProcesses(): Promise<readonly Hosted[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const all = await Promise.all(
    pids.map(async (pid) => {
      const text = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '');
      const pairs = text.split('\0').map((pair): [string, string] => {
        const at = pair.indexOf('=');
        return [pair.slice(0, at), pair.slice(at + 1)];
      });
      return { pid: Number(pid), environment: new Map(pairs) };
    }),
  );
  return all.filter(
    ({ environment }) => environment.has('REALM') && environment.get('SERVER') === e2e.farm.wampUrl,
  );
}

/** Nothing is left of any hosted worker: no process, no container, no record, no row. */
async function nothingLeft(): Promise<void> {
  const { farm, engine, directory } = e2e;
  await expect.poll(hostedProcesses).toEqual([]);
  await expect.poll(() => engine.docker(['ps', '--all', '--quiet'])).toBe('');
  const home = join(directory, 'manager/executors-manager-1');
  for (const executor of ['local', 'lame']) {
    const records = (): Promise<string[]> => readdir(join(home, executor, 'workers')).catch(() => []);
    await expect.poll(records).toEqual([]);
  }
  const workers = async (): Promise<unknown[]> =>
    workerListSchema.parse(await (await fetch(`${farm.url}/api/v1/workers`)).json()).workers;
  await expect.poll(workers).toEqual([]);
}

const dockerfile = (own: string): Uint8Array<ArrayBuffer> =>
  new TextEncoder().encode(`FROM busybox:stable\nRUN echo ${own}\n`);

it('a process of this machine builds, pushes and goes', async () => {
  const { farm } = e2e;
  const { id } = await submit(farm, { repository: 'team/process' }, dockerfile('process'));
  const build = await ended(farm, id);
  const worker = 'local-0.manager-1/0';
  expect(build).toMatchObject({ state: 'complete', tries: [{ outcome: 'complete', worker }] });
  expect(build.digests['latest']).toMatch(/^sha256:/);
  await nothingLeft();
});

it('builds that come together have a worker each, as many as there is room', async () => {
  const { farm } = e2e;
  const builds = await Promise.all(
    ['one', 'two', 'three'].map((name) => submit(farm, { repository: `team/${name}` }, dockerfile(name))),
  );
  for (const { id } of builds) expect(await ended(farm, id)).toMatchObject({ state: 'complete' });
  await nothingLeft();
});

it('a container builds, pushes and goes', async () => {
  const { farm } = e2e;
  await restart('SIGTERM', [containers()]);
  const { id } = await submit(farm, { repository: 'team/container' }, dockerfile('container'));
  const build = await ended(farm, id);
  expect(build).toMatchObject({ state: 'complete', tries: [{ outcome: 'complete' }] });
  expect(build.digests['latest']).toMatch(/^sha256:/);
  await nothingLeft();
});

it('an executor that cannot start a worker is followed by the next', async () => {
  const { farm } = e2e;
  await restart('SIGTERM', [containers({ image: 'nobody/has-it' }), local()]);
  const { id } = await submit(farm, { repository: 'team/fallback' }, dockerfile('fallback'));
  const build = await ended(farm, id);
  expect(build).toMatchObject({ state: 'complete' });
  const [last, ...before] = build.tries.toReversed();
  expect(last).toMatchObject({ outcome: 'complete' });
  // A claim that was under way when it failed may have brought it the build once more.
  expect(before).not.toEqual([]);
  for (const { outcome, counted, error } of before) {
    expect({ outcome, counted }).toEqual({ outcome: 'lost', counted: false });
    expect(error?.base_error).toContain('the engine has no image nobody/has-it: pull it there first');
  }
  await nothingLeft();
});

it('an executor builds for its namespaces alone', async () => {
  const { farm } = e2e;
  await restart('SIGTERM', [local({ namespaces: ['team'] })]);
  const other = await submit(farm, { repository: 'other/waits' }, dockerfile('waits'));
  const { id } = await submit(farm, { repository: 'team/allowed' }, dockerfile('allowed'));
  expect(await ended(farm, id)).toMatchObject({ state: 'complete' });
  expect(await show(farm, other.id)).toMatchObject({ state: 'waiting', tries: [] });
  await fetch(`${farm.url}/api/v1/builds/${other.id}/cancel`, { method: 'POST' });
  await nothingLeft();
});

it('a build that is cancelled while its worker is on its way takes the worker with it', async () => {
  const { farm } = e2e;
  await restart('SIGTERM', [lame()]);
  const { id } = await submit(farm, { repository: 'team/cancelled' }, dockerfile('cancelled'));
  await expect.poll(async () => (await hostedProcesses()).length).toBeGreaterThan(0);
  expect(await show(farm, id)).toMatchObject({ state: 'starting' });
  await fetch(`${farm.url}/api/v1/builds/${id}/cancel`, { method: 'POST' });
  expect(await show(farm, id)).toMatchObject({ state: 'cancelled', tries: [{ outcome: 'cancelled' }] });
  await nothingLeft();
});

it('realm and token let in one worker, once, and reach no log and no argument', async () => {
  const { farm } = e2e;
  await restart('SIGTERM', [local()]);
  const { dockerfile: endless, command } = endlessBuild();
  const { id } = await submit(farm, { repository: 'team/once' }, endless);
  await followUntil(farm, id, hasBegun);
  const [first] = await hostedProcesses();
  const realm = first?.environment.get('REALM') ?? '';
  const token = first?.environment.get('TOKEN') ?? '';
  expect(token).toMatch(/^[\w-]{43}$/);
  const come = (): ReturnType<typeof startBareWorker> =>
    startBareWorker({
      url: farm.wampUrl,
      realm,
      token,
      onBuild: () => Promise.reject(new Error('it has none')),
    });
  await expect(come()).rejects.toThrow('wamp.error.procedure_already_exists');
  expect(await letGo(farm, id, command)).toMatchObject({ state: 'complete' });
  await nothingLeft();
  // The realm goes a moment after the worker.
  await expect.poll(() => come().catch(String)).toContain('wamp.error.no_such_realm');
  const log = await (await fetch(`${farm.url}/api/v1/builds/${id}/log`)).text();
  for (const secret of [realm, token]) expect(farm.manager.output() + log).not.toContain(secret);
});

it('a manager that is killed while a worker is on its way leaves none behind, and the build goes on', async () => {
  const { farm } = e2e;
  await restart('SIGTERM', [lame()]);
  const { id } = await submit(farm, { repository: 'team/killed-starting' }, dockerfile('killed'));
  await expect.poll(async () => (await hostedProcesses()).length).toBeGreaterThan(0);
  await restart('SIGKILL', [local(), { ...lame(), namespaces: ['nobody'] }]);
  const build = await ended(farm, id);
  expect(build).toMatchObject({ state: 'complete', tries: [{ outcome: 'lost' }, { outcome: 'complete' }] });
  await nothingLeft();
});

it('a manager that is killed while a container builds leaves none behind, and the build ends', async () => {
  const { farm } = e2e;
  await restart('SIGTERM', [containers()]);
  const { dockerfile: endless, command } = endlessBuild();
  const { id } = await submit(farm, { repository: 'team/killed-container' }, endless);
  await followUntil(farm, id, hasBegun);
  await restart('SIGKILL', [containers()]);
  // The worker came back to the manager with its build.
  expect(await letGo(farm, id, command)).toMatchObject({
    state: 'complete',
    tries: [{ outcome: 'complete' }],
  });
  await nothingLeft();
});

it('a worker that is killed while it builds is not waited for: another one is started', async () => {
  const { farm } = e2e;
  await restart('SIGTERM', [local()]);
  const { dockerfile: endless, command } = endlessBuild();
  const { id } = await submit(farm, { repository: 'team/killed-worker' }, endless);
  await followUntil(farm, id, hasBegun);
  const [worker] = await hostedProcesses();
  if (!worker) throw new Error('it has no worker');
  process.kill(worker.pid, 'SIGKILL');
  await followUntil(farm, id, hasBegunAgain);
  const build = await letGo(farm, id, command);
  expect(build, farm.manager.output()).toMatchObject({
    state: 'complete',
    tries: [
      { outcome: 'lost', error: { base_error: expect.stringContaining('ended before its build') as string } },
      { outcome: 'complete' },
    ],
  });
  await nothingLeft();
});
