import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import pg from 'pg';
import { startBareWorker, type BareWorker } from '../../lab/bare-worker.ts';
import { startDatabaseServer, type LabDatabaseServer } from '../../lab/database.ts';
import { startFarm, type LabFarm, type LabManager } from '../../lab/farm.ts';
import { problemSchema } from '../../src/contract/api.ts';
import { ended, show, submit } from '../e2e/support.ts';

/** What a manager does with its workers when it is told to stop, while another one on the same database goes on. */

let directory: string;
let database: LabDatabaseServer;
let databaseUrl: string;
let farm: LabFarm;
let leaving: LabManager;
let staying: LabManager;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'qlab-departure-'));
  database = await startDatabaseServer();
  databaseUrl = (await database.createEmptyDatabase()).url;
  farm = await startFarm({ directory, several: { managers: 2, databaseUrl } });
  const [first, second] = farm.managers;
  if (!first || !second) throw new Error('two managers were asked for');
  [leaving, staying] = [first, second];
});
afterAll(async () => {
  await farm.stop();
  await database.stop();
  await rm(directory, { recursive: true, force: true });
});

const BUILD = { repository: 'team/app', build_package: 'http://127.0.0.1:9/package.tar' };
const DONE = { result: { image_id: 'sha256:0', digests: [] } };
const RESUMES = {
  extensions: ['log-batch', 'resume'],
  worker: { id: 'bare', slot: 0, slots: 1, labels: {}, kinds: ['image'] },
};

interface Building {
  readonly worker: BareWorker;
  readonly id: string;
  /** Has the worker say that the build is done. */
  readonly finish: () => void;
}

/** A worker that a manager has given a build. */
async function building(manager: LabManager, hello?: Record<string, unknown>): Promise<Building> {
  const given = Promise.withResolvers<BareWorker>();
  const finished = Promise.withResolvers<typeof DONE>();
  await startBareWorker({
    url: manager.wampUrl,
    ...(hello ? { hello } : {}),
    onBuild: (_kwargs, worker) => {
      given.resolve(worker);
      return finished.promise;
    },
  });
  const { id } = await submit(manager, BUILD);
  return { worker: await given.promise, id, finish: () => finished.resolve(DONE) };
}

async function idle(manager: LabManager): Promise<BareWorker> {
  return startBareWorker({ url: manager.wampUrl, onBuild: () => Promise.resolve(DONE) });
}

/** What the database has of a build that the API does not show. */
async function stored(id: string): Promise<{ triesCounted: number; realms: readonly string[] }> {
  const client = new pg.Client(databaseUrl);
  await client.connect();
  const { rows } = await client.query<{ triesCounted: number; realms: readonly string[] }>(
    `select tries_counted as "triesCounted", array(select realm from tries where build_id = id order by number) as realms
     from builds where id = $1`,
    [id],
  );
  await client.end();
  const [row] = rows;
  if (!row) throw new Error(`there is no build ${id}`);
  return row;
}

async function refusal(url: string): Promise<string | null> {
  const answer = await fetch(url);
  return answer.ok ? null : problemSchema.parse(await answer.json()).code;
}

let exited: Promise<number>;
async function restart(env: NodeJS.ProcessEnv): Promise<void> {
  await leaving.restart('SIGKILL', { STOP_DELAY_SECONDS: '0', STOP_WITHIN_SECONDS: '600', ...env });
  ({ exited } = leaving.process);
}
beforeEach(() => restart({}));

it('sends idle workers, and those that can take their build along, away at once, and waits for the others', async () => {
  const deployed = await building(leaving);
  const ours = await building(leaving, RESUMES);
  const waiting = await idle(leaving);
  leaving.process.kill('SIGTERM');
  await Promise.all([waiting.closed, ours.worker.closed]);
  expect(await show(staying, ours.id)).toMatchObject({ state: 'running', tries: [{ outcome: null }] });
  // It goes on with this one alone, whose engine still asks it for tokens and packages.
  await expect(idle(leaving)).rejects.toThrow();
  expect(await refusal(`${leaving.url}/healthz`)).toBeNull();
  expect(await refusal(`${leaving.url}/readyz`)).toBe('manager_stopping');
  deployed.finish();
  expect(await exited).toBe(0);
  await deployed.worker.closed;
  expect(await show(staying, deployed.id)).toMatchObject({
    state: 'complete',
    tries: [{ outcome: 'complete' }],
  });
  await fetch(`${staying.url}/api/v1/builds/${ours.id}/cancel`, { method: 'POST' });
});

it('gives the build of a worker that takes longer than it waits to another, and counts no try', async () => {
  await restart({ STOP_WITHIN_SECONDS: '1' });
  const slow = await building(leaving);
  await using _other = await idle(staying);
  leaving.process.kill('SIGTERM');
  expect(await ended(staying, slow.id)).toMatchObject({
    state: 'complete',
    tries: [{ outcome: 'lost' }, { outcome: 'complete' }],
  });
  expect(await exited).toBe(0);
  expect((await stored(slow.id)).triesCounted).toBe(1);
});

it('told a second time waits for nobody', async () => {
  const slow = await building(leaving);
  leaving.process.kill('SIGTERM');
  await leaving.process.printed(/workers are told to go/);
  leaving.process.kill('SIGTERM');
  expect(await exited).toBe(0);
  expect(await show(staying, slow.id)).toMatchObject({ state: 'waiting', tries: [{ outcome: 'lost' }] });
  await using _other = await idle(staying);
  expect(await ended(staying, slow.id)).toMatchObject({ state: 'complete' });
  expect((await stored(slow.id)).triesCounted).toBe(1);
});

it('stays for as long as its balancer needs to notice, and takes no builds meanwhile', async () => {
  await restart({ STOP_DELAY_SECONDS: '600' });
  await using early = await idle(leaving);
  leaving.process.kill('SIGTERM');
  // A claim that was under way when the signal came may still have brought it one.
  await leaving.process.printed(/no more builds are taken/);
  expect(await refusal(`${leaving.url}/readyz`)).toBe('manager_stopping');
  await using late = await idle(leaving);
  const { id } = await submit(leaving, BUILD);
  await using elsewhere = await idle(staying);
  expect(await ended(leaving, id)).toMatchObject({ state: 'complete' });
  expect((await stored(id)).realms).toEqual([elsewhere.realm]);
  leaving.process.kill('SIGINT');
  await Promise.all([early.closed, late.closed]);
  expect(await exited).toBe(0);
});
