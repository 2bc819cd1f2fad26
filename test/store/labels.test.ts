import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startDatabaseServer, type LabDatabaseServer } from '../../lab/database.ts';
import { workerLabelsSchema, workerSelectorsSchema } from '../../src/contract/worker-labels.ts';
import type { Demand, ExecutorRow, WorkerRow } from '../../src/store/index.ts';
import { claimed, claimRequest, newBuild, openTestStore, type TestStore } from './support/store.ts';

let server: LabDatabaseServer;
let store: TestStore;
beforeAll(async () => {
  server = await startDatabaseServer();
  store = await openTestStore(server);
});
afterAll(async () => {
  await store.close();
  await server.stop();
});

type Labels = Readonly<Record<string, string>>;

const workers: Readonly<Record<string, Labels>> = {
  plain: {},
  north: { zone: 'north', disk: 'fast' },
  south: { zone: 'south' },
  anywhere: { zone: '*' },
  both: { zone: 'north|south' },
  arm: { platform: 'linux/arm64' },
  two: { platform: 'linux/arm64|linux/amd64' },
  kept: { '!gpu': 'a100', zone: 'north' },
};
const everybody = Object.keys(workers).filter((name) => name !== 'kept');

const asked: readonly { asks: readonly string[]; platform?: string; gets: readonly string[] }[] = [
  { asks: [], gets: everybody },
  { asks: ['zone=north'], gets: ['north', 'anywhere', 'both'] },
  { asks: ['zone=east|south'], gets: ['south', 'anywhere', 'both'] },
  { asks: ['zone=east'], gets: ['anywhere'] },
  { asks: ['zone=*'], gets: ['north', 'south', 'anywhere', 'both'] },
  { asks: ['zone=north', 'disk=*'], gets: ['north'] },
  { asks: ['!zone'], gets: ['plain', 'arm', 'two'] },
  { asks: ['zone!=north'], gets: ['plain', 'south', 'anywhere', 'arm', 'two'] },
  { asks: ['zone=*', 'zone!=north'], gets: ['south', 'anywhere'] },
  { asks: ['gpu=*'], gets: ['kept'] },
  { asks: ['gpu=a100', 'zone=north'], gets: ['kept'] },
  { asks: ['gpu=h100'], gets: [] },
  { asks: ['zone=north', '!gpu'], gets: ['north', 'anywhere', 'both'] },
  { asks: ['Zone=north'], gets: [] },
  { asks: ['platform=linux/arm64'], gets: ['arm', 'two'] },
  // Who says nothing of platforms may be given any.
  { asks: [], platform: 'linux/arm64', gets: everybody },
  { asks: [], platform: 'linux/amd64', gets: everybody.filter((name) => name !== 'arm') },
  { asks: [], platform: 'linux/s390x', gets: everybody.filter((name) => name !== 'arm' && name !== 'two') },
];

describe('a build is given to the workers that it asks for, and to no other', () => {
  test.each(asked)('$asks $platform', async ({ asks, platform = null, gets }) => {
    expect(workerSelectorsSchema.parse(asks)).toEqual(asks);
    const fitting: string[] = [];
    for (const [name, labels] of Object.entries(workers)) {
      expect(workerLabelsSchema.parse(labels)).toEqual(labels);
      const { id } = await store.builds.submit(newBuild({ workerLabels: asks, platform }));
      const claim = await store.leases.claim(claimRequest({ labels }));
      if (claim?.build.id === id) fitting.push(name);
      else expect(claim).toBeNull();
      await store.builds.cancel(id, 'alice');
    }
    expect(fitting).toEqual(gets);
  });
});

test('what nobody here takes holds up nothing behind it', async () => {
  const { id: stuck } = await store.builds.submit(newBuild({ workerLabels: ['zone=moon'], priority: 5 }));
  const { id } = await store.builds.submit(newBuild());
  expect(claimed(await store.leases.claim(claimRequest())).build.id).toBe(id);
  expect(await store.leases.claim(claimRequest())).toBeNull();
  await store.builds.cancel(stuck, 'alice');
});

test.each([
  ['zone'],
  ['=north'],
  ['zone=nor th'],
  ['!zone=north'],
  ['zone=a,b'],
  ['zone==x'],
  ['zone=*|a'],
  [''],
])('%j is nothing to ask for', (text) => {
  expect(workerSelectorsSchema.safeParse([text]).success).toBe(false);
});

describe('whether anybody could ever take a build', () => {
  const demand = (overrides: Partial<Demand>): Demand => ({
    kind: 'image',
    namespace: 'team',
    requiredExtensions: [],
    workerLabels: [],
    platform: null,
    ...overrides,
  });
  const worker = (overrides: Partial<WorkerRow>): WorkerRow => ({
    realm: 'realm-1',
    id: 'worker-1',
    slot: 0,
    slots: 1,
    kind: 'enterprise',
    state: 'ready',
    labels: {},
    extensions: [],
    kinds: ['image'],
    address: '127.0.0.1',
    manager: 'manager-1',
    connectedAt: new Date(),
    lastSeenAt: new Date(),
    buildId: null,
    registeredAs: null,
    ...overrides,
  });
  const executor: ExecutorRow = {
    name: 'cloud',
    kinds: ['image'],
    extensions: ['secrets'],
    labels: { zone: 'cloud' },
    namespaces: null,
  };

  test('a worker of any manager can, also a busy one, unless it has its build for good', async () => {
    await using own = await openTestStore(server);
    expect(await own.workers.canTake(demand({}))).toBe(false);
    await own.workers.put([worker({ kind: 'hosted' })]);
    expect(await own.workers.canTake(demand({}))).toBe(false);
    await own.workers.put([
      worker({ realm: 'realm-2', manager: 'manager-2', state: 'busy', labels: { zone: 'north' } }),
    ]);
    expect(await own.workers.canTake(demand({}))).toBe(true);
    expect(await own.workers.canTake(demand({ workerLabels: ['zone=north'] }))).toBe(true);
    expect(await own.workers.canTake(demand({ workerLabels: ['zone=south'] }))).toBe(false);
    expect(await own.workers.canTake(demand({ requiredExtensions: ['secrets'] }))).toBe(false);
  });

  test('an executor of any manager can, for its namespaces, until its manager has it no more', async () => {
    await using own = await openTestStore(server);
    await own.executors.put('manager-2', [
      executor,
      { ...executor, name: 'own', namespaces: ['ops'], labels: {} },
    ]);
    expect(await own.workers.canTake(demand({ workerLabels: ['zone=cloud'] }))).toBe(true);
    expect(await own.workers.canTake(demand({ workerLabels: ['!zone'] }))).toBe(false);
    expect(await own.workers.canTake(demand({ workerLabels: ['!zone'], namespace: 'ops' }))).toBe(true);
    await own.executors.put('manager-1', []);
    await own.executors.put('manager-2', [executor]);
    expect(await own.workers.canTake(demand({ workerLabels: ['!zone'], namespace: 'ops' }))).toBe(false);
    await own.executors.sweep(3600);
    expect(await own.workers.canTake(demand({}))).toBe(true);
    await own.executors.sweep(-60);
    expect(await own.workers.canTake(demand({}))).toBe(false);
  });
});
