import { afterAll, beforeAll, expect, it } from 'vitest';
import { startDatabaseServer, type LabDatabaseServer } from '../../../lab/database.ts';
import { buildListSchema, buildSchema, type Waiting } from '../../../src/contract/api.ts';
import type { WorkerRow } from '../../../src/store/index.ts';
import { claimed, claimRequest, expireAtOnce } from '../../store/support/store.ts';
import { openTestHttp, type TestHttp } from '../support/http.ts';

/** What a waiting build shows: why, its place, and how long that usually takes. */

let database: LabDatabaseServer;
beforeAll(async () => {
  database = await startDatabaseServer();
});
afterAll(() => database.stop());

async function submit({ app }: TestHttp, more: object = {}): Promise<string> {
  const payload = { repository: 'team/app', build_package: 'https://files.example/app.tgz', ...more };
  const answer = await app.inject({ method: 'POST', url: '/api/v1/builds', payload });
  return buildSchema.parse(answer.json()).id;
}

async function waiting({ app }: TestHttp, id: string): Promise<Waiting | null> {
  const answer = await app.inject(`/api/v1/builds/${id}`);
  return buildSchema.parse(answer.json()).waiting;
}

function worker(realm: string, more: Partial<WorkerRow> = {}): WorkerRow {
  return {
    realm,
    id: realm,
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
    ...more,
  };
}

it('says whether any worker could take it, and whether those that could are busy', async () => {
  await using http = await openTestHttp(database);
  const id = await submit(http);
  const picky = await submit(http, { worker_labels: ['zone=north'], platform: 'linux/arm64' });
  expect(await waiting(http, id)).toMatchObject({ reason: 'no_worker', message: 'No worker is connected.' });
  await http.store.workers.put([worker('r-1'), worker('r-2', { state: 'busy' })]);
  expect(await waiting(http, id)).toMatchObject({ reason: 'next', until: null, place: 1, usual: null });
  expect(await waiting(http, picky)).toMatchObject({
    reason: 'no_match',
    message:
      'No worker can take it: it asks for the labels zone=north; the platform linux/arm64; the extensions platform; the kind image.',
  });
  await http.store.workers.put([worker('r-1', { state: 'busy' })]);
  expect(await waiting(http, id)).toMatchObject({
    reason: 'busy',
    message: 'All 2 slots of workers that can take it are busy.',
  });
  await http.store.workers.drain('r-1', { name: 'alice', address: null });
  expect(await waiting(http, id)).toMatchObject({
    message: 'All 1 slots of workers that can take it are busy.',
  });
  await http.store.workers.drain('r-2', { name: 'alice', address: null });
  expect(await waiting(http, id)).toMatchObject({
    reason: 'drained',
    message: 'The workers that could take it are drained: they get no builds.',
  });
  expect(await waiting(http, picky)).toMatchObject({ reason: 'no_match' });
});

it('names executors where there are some, and none takes it', async () => {
  await using http = await openTestHttp(database);
  const executor = { name: 'cloud', namespaces: ['others'], labels: {}, kinds: ['image'], extensions: [] };
  await http.store.executors.put('manager-1', [executor]);
  expect(await waiting(http, await submit(http))).toMatchObject({
    reason: 'no_match',
    message: 'No worker and no executor can take it: it asks for the kind image.',
  });
  expect(await waiting(http, await submit(http, { repository: 'others/app' }))).toMatchObject({
    reason: 'busy',
    message: 'No executor has room.',
  });
});

it('says that stored credentials take a worker that knows of them', async () => {
  await using http = await openTestHttp(database);
  await http.store.workers.put([worker('r-1')]);
  const id = await submit(http);
  expect(await waiting(http, id)).toMatchObject({ reason: 'next' });
  const path = '/api/v1/namespaces/team/credentials/registry.example:5000';
  const payload = { username: 'robot', password: 'a-password' };
  expect((await http.app.inject({ method: 'PUT', url: path, payload })).statusCode).toBe(200);
  expect(await waiting(http, id)).toMatchObject({
    reason: 'no_match',
    message: 'No worker can take it: it asks for the extensions registry-auth; the kind image.',
  });
});

it('says what it waits for besides workers: its time, its next try, its namespace, a build of its tag', async () => {
  await using http = await openTestHttp(database);
  await http.store.workers.put([worker('r-1')]);
  const tomorrow = new Date(Date.now() + 86_400_000).toISOString();
  const later = await submit(http, { not_before: tomorrow });
  expect(await waiting(http, later)).toMatchObject({ reason: 'not_before', until: tomorrow });
  const inAnotherZone = await submit(http, { not_before: tomorrow.replace('Z', '-02:00') });
  const twoHoursLater = new Date(Date.parse(tomorrow) + 2 * 3_600_000).toISOString();
  expect(await waiting(http, inAnotherZone)).toMatchObject({ until: twoHoursLater });
  const past = await submit(http, { not_before: new Date(Date.now() - 86_400_000).toISOString() });
  const shown = buildSchema.parse((await http.app.inject(`/api/v1/builds/${past}`)).json());
  expect(shown).toMatchObject({ not_before: null, waiting: { reason: 'next', until: null } });
  await http.app.inject({ method: 'POST', url: `/api/v1/builds/${past}/cancel` });
  const running = await submit(http);
  const { lease } = claimed(await http.store.leases.claim(claimRequest()));
  const exclusive = await submit(http, { exclusive: true });
  expect(await waiting(http, exclusive)).toMatchObject({
    reason: 'exclusive',
    message: `Build ${running} of the same tag runs, and this one waits for that (exclusive).`,
  });
  const settings = { weight: null, maxRunning: 1, maxWaiting: null };
  await http.store.namespaces.set('team', settings, { name: 'alice', address: null });
  expect(await waiting(http, exclusive)).toMatchObject({
    reason: 'namespace_limit',
    message: 'Its namespace team runs 1 of 1 builds.',
  });
  const error = { ...expireAtOnce.managerGone, message: 'The image could not be pushed.' };
  await http.store.leases.giveBack(lease, {
    outcome: 'internalerror',
    error,
    counted: true,
    delaySeconds: 3600,
  });
  expect(await waiting(http, running)).toMatchObject({
    reason: 'backing_off',
    message: 'It is tried again after try 1 failed: The image could not be pushed.',
    until: expect.any(String) as string,
  });
  await http.store.builds.cancel(running, 'bob');
  expect(await waiting(http, running)).toBeNull();
});

it('shows the place in its namespace, by priority and age, and how long builds there usually waited, in lists too', async () => {
  await using http = await openTestHttp(database);
  for (let times = 0; times < 5; times += 1) {
    await submit(http);
    claimed(await http.store.leases.claim(claimRequest()));
  }
  const first = await submit(http);
  const second = await submit(http);
  const urgent = await submit(http, { priority: 5 });
  await submit(http, { repository: 'others/app', priority: 9 });
  const answer = await http.app.inject('/api/v1/builds?state=waiting&repository=team/app');
  const { builds } = buildListSchema.parse(answer.json());
  expect(Object.fromEntries(builds.map(({ id, waiting: each }) => [id, each?.place]))).toEqual({
    [urgent]: 1,
    [first]: 2,
    [second]: 3,
  });
  expect(builds[0]?.waiting?.usual).toEqual({
    starts: 5,
    median_seconds: expect.any(Number) as number,
    p90_seconds: expect.any(Number) as number,
  });
});
