import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { workerListSchema, type Build } from '../../../src/contract/api.ts';
import { startBareWorker, type BareWorker, type BareWorkerOptions } from '../../../lab/bare-worker.ts';
import { startFarm, type LabFarm } from '../../../lab/farm.ts';
import { ended, logOf, show, submit } from '../../e2e/support.ts';

/** Who may do what in the realms of workers (worker contract 0.3, "Security at this level"), and what workers may get wrong. */

let directory: string;
let farm: LabFarm;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'qlab-realms-'));
  farm = await startFarm({ directory, env: { HEARTBEAT_TIMEOUT_SECONDS: '8' } });
});
afterAll(async () => {
  await farm.stop();
  await rm(directory, { recursive: true, force: true });
});

const BUILD = { repository: 'team/app', build_package: 'http://127.0.0.1:9/package.tar' };
const succeed = (): ReturnType<BareWorkerOptions['onBuild']> =>
  Promise.resolve({ result: { image_id: 'sha256:0', digests: [] } });

function joinFarm(options: Partial<BareWorkerOptions> = {}): ReturnType<typeof startBareWorker> {
  return startBareWorker({ url: farm.wampUrl, onBuild: succeed, ...options });
}

/**
 * The tries that a worker had. To one that left a moment ago, as that of the test before, a build may still have been given by a claim
 * that was under way: it goes back at once, and that counts as no try.
 */
async function triesOf(id: string): Promise<Build['tries']> {
  return (await show(farm, id)).tries.filter(({ outcome, counted }) => outcome !== 'lost' || counted);
}

async function workers(): Promise<unknown[]> {
  return workerListSchema.parse(await (await fetch(`${farm.url}/api/v1/workers`)).json()).workers;
}

it('lets nobody into a realm that was never allocated', async () => {
  await expect(joinFarm({ realm: randomUUID() })).rejects.toThrow('wamp.error.no_such_realm');
  await expect(joinFarm({ realm: 'no realm at all' })).rejects.toThrow('wamp.error.invalid_uri');
});

it('refuses a second worker in a realm, and the first goes on', async () => {
  await using first = await joinFarm();
  await expect(joinFarm({ realm: first.realm })).rejects.toThrow('wamp.error.procedure_already_exists');
  const { id } = await submit(farm, BUILD);
  expect(await ended(farm, id)).toMatchObject({ state: 'complete' });
});

it('answers ready with false for a wrong version or token', async () => {
  await expect(joinFarm({ version: '0.2' })).rejects.toThrow('ready with false');
  await expect(joinFarm({ token: 'guessed' })).rejects.toThrow('ready with false');
});

it('lets no worker offer or call what is not its own', async () => {
  await using worker = await joinFarm();
  for (const uri of ['io.quay.buildworker.ping', 'io.quay.builder.logmessagesynchronously']) {
    await expect(worker.register(uri)).rejects.toThrow('wamp.error.procedure_already_exists');
  }
  await expect(worker.register('io.quay.anything')).rejects.toThrow('wamp.error.not_authorized');
  await expect(worker.call('io.quay.builder.build')).rejects.toThrow('wamp.error.not_authorized');
  await expect(worker.call('io.quay.buildworker.register')).rejects.toThrow('wamp.error.not_authorized');
  await expect(worker.call('wamp.session.list')).rejects.toThrow('wamp.error.not_authorized');
});

it('answers log messages of a worker without a build with false, and wrong ones with an error', async () => {
  await using worker = await joinFarm();
  expect(await worker.enterPhase('building')).toBe(false);
  await expect(
    worker.call('io.quay.builder.logmessagesynchronously', { phase: 'dancing', json_data: '{}' }),
  ).rejects.toThrow('wamp.error.invalid_argument');
  await expect(worker.call('io.quay.builder.logmessagesynchronously')).rejects.toThrow(
    'wamp.error.invalid_argument',
  );
});

it('keeps what it can of log messages that are none, and goes on', async () => {
  await using _worker = await joinFarm({
    onBuild: async (_kwargs, worker) => {
      await worker.enterPhase('building');
      for (const json_data of [
        '',
        'null',
        '[]',
        '{"stream":7}',
        '{"stream":"kept\\n"}',
        '{"status_data":7}',
      ]) {
        expect(
          await worker.call('io.quay.builder.logmessagesynchronously', { phase: 'building', json_data }),
        ).toBe(true);
      }
      return succeed();
    },
  });
  const { id } = await submit(farm, BUILD);
  expect(await ended(farm, id)).toMatchObject({ state: 'complete' });
  expect(await logOf(farm, id)).toContain('kept');
});

it("masks a try's secrets in what a deployed worker logs and fails with, also across two messages", async () => {
  let token = '';
  await using _worker = await joinFarm({
    onBuild: async ({ push_token }, worker) => {
      token = String(push_token);
      await worker.enterPhase('building');
      await worker.log('building', { stream: `whole ${token} end\n` });
      await worker.log('building', { stream: `half ${token.slice(0, 20)}` });
      await worker.log('building', { stream: `${token.slice(20)} end\n` });
      return { error: 'io.quay.builder.builderror', kwargs: { base_error: `it said ${token}` } };
    },
  });
  const { id } = await submit(farm, BUILD);
  const { error } = await ended(farm, id);
  const log = await logOf(farm, id);
  expect(token).not.toBe('');
  expect(log).toContain('whole *** end\nhalf *** end\n');
  expect(error?.base_error).toBe('it said ***');
  expect(farm.manager.output()).not.toContain(token);
});

it('tries again what failed internally, and not what was denied', async () => {
  const answers = [
    { error: 'io.quay.builder.dockerconnecterror' },
    { error: 'io.quay.builder.never.heard.of' },
    {
      error: 'io.quay.builder.pushissue',
      kwargs: { base_error: 'denied: requested access to the resource is denied' },
    },
  ];
  for (const [index, becomes] of ['waiting', 'waiting', 'error'].entries()) {
    await using _worker = await joinFarm({
      onBuild: () => Promise.resolve(answers[index] ?? { error: 'none' }),
    });
    const { id } = await submit(farm, BUILD);
    await farm.manager.printed(new RegExp(`"build":"${id}".*"answer":"io\\.quay\\..*"msg":"a try is over"`));
    expect((await show(farm, id)).state).toBe(becomes);
    await fetch(`${farm.url}/api/v1/builds/${id}/cancel`, { method: 'POST' });
  }
});

it('survives a worker whose result is none', async () => {
  await using _worker = await joinFarm({
    onBuild: () => Promise.resolve({ result: { image_id: 7, digests: 'none' } }),
  });
  const { id } = await submit(farm, BUILD);
  await farm.manager.printed(new RegExp(`"build":"${id}".*"answer":"result".*"msg":"a try is over"`));
  expect((await show(farm, id)).state).toBe('waiting');
  expect(await triesOf(id)).toMatchObject([{ outcome: 'internalerror', error: { code: 'internalerror' } }]);
  await fetch(`${farm.url}/api/v1/builds/${id}/cancel`, { method: 'POST' });
});

it('answers the log calls of a cancelled build with false, and ignores its late result', async () => {
  const began = Promise.withResolvers<BareWorker>();
  const finished = Promise.withResolvers<undefined>();
  await using _worker = await joinFarm({
    onBuild: async (_kwargs, worker) => {
      await worker.enterPhase('building');
      began.resolve(worker);
      await finished.promise;
      return succeed();
    },
  });
  const { id } = await submit(farm, BUILD);
  const worker = await began.promise;
  await fetch(`${farm.url}/api/v1/builds/${id}/cancel`, { method: 'POST' });
  expect((await show(farm, id)).state).toBe('cancelled');
  await expect.poll(() => worker.log('building', { stream: 'too late\n' })).toBe(false);
  finished.resolve(undefined);
  await farm.manager.printed(new RegExp(`"build":"${id}".*"became":false`));
  expect(await show(farm, id)).toMatchObject({ state: 'cancelled', digests: {} });
});

it('gives the build of a worker whose socket closes to the next at once, and of a silent one in time', async () => {
  for (const vanish of ['drop', 'freeze'] as const) {
    const began = Promise.withResolvers<undefined>();
    await using worker = await joinFarm({
      onBuild: () => {
        began.resolve(undefined);
        return new Promise(() => undefined);
      },
    });
    const { id } = await submit(farm, BUILD);
    await began.promise;
    worker[vanish]();
    await using _other = await joinFarm();
    expect(await ended(farm, id)).toMatchObject({ state: 'complete' });
    expect(await triesOf(id)).toMatchObject([{ outcome: 'lost' }, { outcome: 'complete' }]);
  }
});

it('shows connected workers without their realms, and forgets those that leave', async () => {
  const worker = await joinFarm({
    hello: {
      extensions: ['cancel', 'unheard-of'],
      worker: { id: 'tester', slot: 1, slots: 2, labels: { size: 'small' } },
    },
  });
  await expect.poll(workers).toMatchObject([
    {
      id: 'tester',
      slot: 1,
      slots: 2,
      labels: { size: 'small' },
      extensions: ['cancel'],
      state: 'ready',
      kind: 'enterprise',
    },
  ]);
  expect(JSON.stringify(await workers())).not.toContain(worker.realm);
  await worker[Symbol.asyncDispose]();
  await expect.poll(workers).toEqual([]);
});
