import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startDatabaseServer, type LabDatabaseServer } from '../../../lab/database.ts';
import { beginHosted } from '../../../src/manager/executors/begin-hosted.ts';
import { hostedOffering, type Executor } from '../../../src/manager/executors/executor.ts';
import { startLaunch } from '../../../src/manager/executors/launch.ts';
import { createRegistryAccess } from '../../../src/manager/registry/registry-access.ts';
import { prepareHandOver, type HandOverDependencies } from '../../../src/manager/scheduling/hand-over.ts';
import { createSecretBox } from '../../../src/manager/secrets/secret-box.ts';
import { hashSecret } from '../../../src/manager/secrets/tokens.ts';
import type { Claim, Store } from '../../../src/store/index.ts';
import { claimed, claimNew, claimRequest, openTestStore } from '../../store/support/store.ts';

/** An executor whose image is a builder that knows contract 0.3 and nothing more. */

let server: LabDatabaseServer;
beforeAll(async () => {
  server = await startDatabaseServer();
});
afterAll(() => server.stop());

const offering = hostedOffering({ labels: {}, extensions: [] });
const spec = {
  source: { type: 'git', url: 'https://git.example/app', ref: null, sha: 'a'.repeat(40) },
  context: '',
  dockerfile_path: '',
};
const robot = { username: 'robot', password: 'S3CR3T' };

function handOver(
  store: Store,
  users: ReturnType<HandOverDependencies['registryAccess']>['users'],
): HandOverDependencies {
  return {
    ...store,
    publicRepositories: [],
    box: createSecretBox([Buffer.alloc(32, 1)]),
    registryAccess: () => ({ tokens: false, tokensElsewhere: null, users, requiredExtensions: [] }),
    publicUrl: 'http://manager.example',
    tryLimits: { timeout: 60, silence: 60, most: 60 },
    resumeGraceSeconds: 60,
  };
}

function begin(store: Store, realm: string): Promise<Claim | null> {
  const worker = { id: 'hosted-1', slot: 0, slots: 1, labels: {}, kinds: ['image'] };
  return beginHosted(
    { realm, worker, extensions: [] },
    {
      ...store,
      manager: 'manager-1',
      leaseSeconds: 60,
      random: Math.random,
      logger: { warn: () => undefined },
      signal: new AbortController().signal,
    },
  );
}

async function allocate(store: Store, { lease }: Claim): Promise<string> {
  await store.hostedWorkers.allocate(lease, {
    ...{ id: 'hosted-1', executor: 'deployed', manager: 'manager-1', realm: 'realm-1' },
    ...{ setupSeconds: 60, lifetimeSeconds: 600, tokenHash: Buffer.alloc(32) },
  });
  return 'realm-1';
}

describe('an executor of builders that know the contract alone', () => {
  it('is given what they can build, and they are told nothing that they do not know', async () => {
    await using store = await openTestStore(server);
    await store.executors.put('manager-1', [{ ...offering, name: 'deployed', namespaces: null }]);
    const plain = { kind: 'image', workerLabels: [], platform: null, namespace: 'team' };
    expect(await store.workers.canTake({ ...plain, requiredExtensions: ['limits'] })).toBe(false);
    expect(await store.workers.canTake({ ...plain, requiredExtensions: [] })).toBe(true);
    const claim = await claimNew(store, { spec }, { ...offering, worker: null });
    const begun = claimed(await begin(store, await allocate(store, claim)));
    const args = await prepareHandOver(begun, [], handOver(store, {}));
    expect(Object.keys(args ?? {}).sort()).toEqual(
      [
        ...['base_image', 'build_package', 'context', 'dockerfile_path', 'git', 'pull_token', 'push_token'],
        ...['registry', 'repository', 'tag_names'],
      ].sort(),
    );
  });

  it('is left out where a namespace has credentials', async () => {
    await using store = await openTestStore(server);
    await store.executors.put('manager-1', [{ ...offering, name: 'deployed', namespaces: null }]);
    const password = Buffer.from('sealed');
    const setBy = { name: 'alice', address: null };
    await store.credentials.set(
      { namespace: 'team', registry: 'a.example', username: 'u', password, setBy },
      9,
    );
    const build = {
      ...{ kind: 'image', requiredExtensions: [], workerLabels: [], platform: null, namespace: 'team' },
    };
    expect(await store.workers.canTake(build)).toBe(false);
    expect(await store.workers.canTake({ ...build, namespace: 'other' })).toBe(true);
  });

  it('gives a build back that came to need more on its way there, and says so', async () => {
    await using store = await openTestStore(server);
    const claim = await claimNew(store, { spec }, { ...offering, worker: null });
    const realm = await allocate(store, claim);
    const password = Buffer.from('sealed');
    const setBy = { name: 'alice', address: null };
    await store.credentials.set(
      { namespace: 'team', registry: 'a.example', username: 'u', password, setBy },
      9,
    );
    expect(await begin(store, realm)).toBeNull();
    expect(await store.builds.get(claim.build.id)).toMatchObject({
      state: 'waiting',
      tries: [
        {
          outcome: 'internalerror',
          error: { base_error: expect.stringContaining('lacks what it needs: registry-auth') as string },
        },
      ],
    });
  });
});

it('credentials are not sent to a worker that does not know them', async () => {
  await using store = await openTestStore(server);
  const claim = await claimNew(store, { spec }, claimRequest());
  const dependencies = handOver(store, { 'registry.example': robot });
  await expect(prepareHandOver(claim, ['limits'], dependencies)).rejects.toThrow(
    'lacks what it needs: registry-auth',
  );
  expect(await prepareHandOver(claim, ['registry-auth'], dependencies)).toMatchObject({
    registry_auth: { 'registry.example': robot },
  });
});

it('a build that pushes elsewhere may have its bases where tokens are taken, at a worker that can be told so', async () => {
  await using store = await openTestStore(server);
  await store.readable.set('team', ['bases/php'], { name: 'alice', address: null });
  const claim = await claimNew(store, { spec, namespace: 'team', repository: 'team/app' }, claimRequest());
  const dependencies: HandOverDependencies = {
    ...handOver(store, {}),
    publicRepositories: ['library/*'],
    registryAccess: createRegistryAccess({ registry: 'tokens.example', tokens: true, user: null }),
  };
  expect(await prepareHandOver(claim, [], dependencies)).not.toHaveProperty('registry_auth');
  const args = await prepareHandOver(claim, ['registry-auth'], dependencies);
  expect(args).toMatchObject({ push_token: '', pull_token: '' });
  const { username, password } = args?.registry_auth?.['tokens.example'] ?? { username: '', password: '' };
  expect(username).toBe('$token');
  expect((await store.capabilities.find(hashSecret(password)))?.scopes).toEqual([
    'repository:team/*:pull',
    'repository:library/*:pull',
    'repository:bases/php:pull',
  ]);
});

it('a worker lives as long as the timeout that its build asks for', async () => {
  await using store = await openTestStore(server);
  const executor: Executor = {
    settings: {
      ...{ name: 'local', capacity: 1, setupSeconds: 60, lifetimeSeconds: 100, labels: {}, extensions: [] },
      ...{ namespaces: null, server: null },
    },
    start: () => Promise.resolve(),
    stop: () => Promise.resolve(),
    list: () => Promise.resolve([]),
  };
  const claim = await claimNew(store, { spec: { ...spec, timeout: 7200 } }, { worker: null });
  const launch = startLaunch(executor, claim, {
    ...store,
    manager: 'manager-1',
    server: 'ws://manager.example',
    onEnd: () => undefined,
    logger: { info: () => undefined, warn: () => undefined },
    signal: new AbortController().signal,
  });
  await expect.poll(() => store.hostedWorkers.list('manager-1', 30)).toHaveLength(1);
  const limits = { resumeHash: null, silenceSeconds: 60, marginSeconds: 0, lifeReserveSeconds: 90 };
  expect(await store.leases.handOver(claim.lease, { ...limits, timeoutSeconds: 7200 })).toBe(7200);
  launch.came();
  await launch.done;
});
