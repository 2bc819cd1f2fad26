import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startBareWorker, type BareWorker } from '../../../lab/bare-worker.ts';
import type { LabFarm } from '../../../lab/farm.ts';
import { leaseClaimSchema, type LeaseClaim } from '../../../src/contract/extensions.ts';
import { ended, logOf, show, submit } from '../../e2e/support.ts';
import { startTwoManagers, type TwoManagers } from '../support/two-managers.ts';

/** Extension `resume`, as the manager keeps it: who may come back with a build, and where. Two managers share one database. */

let managers: TwoManagers | undefined;
let farm: LabFarm;
let other: LabFarm;
beforeAll(async () => {
  managers = await startTwoManagers({ RESUME_GRACE_SECONDS: '30' });
  ({ first: farm, second: other } = managers);
});
afterAll(() => managers?.[Symbol.asyncDispose]());

const BUILD = { repository: 'team/app', build_package: 'http://127.0.0.1:9/package.tar' };
const OFFER = {
  extensions: ['log-batch', 'cancel', 'resume'],
  worker: { id: 'bare', slot: 0, slots: 1, labels: {}, kinds: ['image'] },
};

/** A worker in the middle of a build. */
async function inBuild(): Promise<{ worker: BareWorker; claim: LeaseClaim; id: string }> {
  const given = Promise.withResolvers<LeaseClaim>();
  const worker = await startBareWorker({
    url: farm.wampUrl,
    hello: OFFER,
    onBuild: (kwargs) => {
      const { build, try: number, token } = kwargs['lease'] as { build: string; try: number; token: string };
      given.resolve(leaseClaimSchema.parse({ build, try: number, lease_token: token }));
      return new Promise(() => undefined);
    },
  });
  const { id } = await submit(farm, BUILD);
  const claim = await given.promise;
  expect(await worker.call('io.quay.builder.logbatch', batch(1, ['one', 'two']))).toBe(true);
  return { worker, claim, id };
}

function batch(sequence: number, lines: readonly string[]): Record<string, unknown> {
  const messages = lines.map((line) => ({
    phase: 'building',
    json_data: JSON.stringify({ stream: `${line}\n` }),
    time: 0,
  }));
  return { sequence, messages };
}

function comeBack(to: LabFarm, realm: string, claim: LeaseClaim, lastSeq = 0): Promise<BareWorker> {
  return startBareWorker({
    url: to.wampUrl,
    realm,
    isBack: true,
    hello: { ...OFFER, resume: { ...claim, last_seq: lastSeq } },
    onBuild: () => Promise.reject(new Error('a worker that came back is given no build')),
  });
}

const complete = { result: { image_id: 'sha256:0', digests: [] } };

it('takes a worker back at any manager, says what is stored, and stores what follows once', async () => {
  for (const manager of [farm, other]) {
    const { worker, claim, id } = await inBuild();
    await using back = await comeBack(manager, worker.realm, claim);
    expect(back.welcome).toMatchObject({ resume: { last_seq: 2 } });
    expect(await back.call('io.quay.builder.logbatch', batch(2, ['two', 'three']))).toBe(true);
    // Its connection from before, which may look alive, is thrown out, or what it says counts no more.
    if (manager === farm) await worker.closed;
    else expect(await worker.call('io.quay.builder.logbatch', batch(3, ['from before']))).toBe(false);
    worker.drop();
    expect(await back.call('io.quay.builder.result', complete)).toBe(true);
    expect(await ended(farm, id)).toMatchObject({ state: 'complete', tries: [{ outcome: 'complete' }] });
    expect(await logOf(farm, id)).toMatch(/one\ntwo\nthree\n$/);
    await expect(comeBack(farm, worker.realm, claim)).rejects.toThrow('io.quay.builder.resume.ended');
  }
});

it('takes nobody back who does not show what the worker was given, and throws nobody out for it', async () => {
  const { worker, claim, id } = await inBuild();
  await using otherRealm = await startBareWorker({
    url: farm.wampUrl,
    onBuild: () => Promise.resolve(complete),
  });
  const wrong: [string, LeaseClaim][] = [
    [worker.realm, { ...claim, lease_token: `${claim.lease_token.slice(1)}x` }],
    [worker.realm, { ...claim, try: 2 }],
    [worker.realm, { ...claim, build: randomUUID() }],
    [otherRealm.realm, claim],
  ];
  for (const [realm, shown] of wrong) {
    await expect(comeBack(farm, realm, shown)).rejects.toThrow('io.quay.builder.resume.unknown');
  }
  expect(await worker.call('io.quay.builder.logbatch', batch(3, ['three']))).toBe(true);
  expect(await worker.call('io.quay.builder.forsake', { ...claim, lease_token: 'guessed' })).toBe(false);
  expect(await worker.call('io.quay.builder.result', complete)).toBe(true);
  expect(await ended(farm, id)).toMatchObject({ state: 'complete' });
  expect(farm.manager.output()).not.toContain(claim.lease_token);
  worker.drop();
});

it('says to the worker that comes back that its build was cancelled', async () => {
  const { worker, claim, id } = await inBuild();
  worker.drop();
  await worker.closed;
  await fetch(`${farm.url}/api/v1/builds/${id}/cancel`, { method: 'POST' });
  await expect(comeBack(other, worker.realm, claim)).rejects.toThrow('io.quay.builder.resume.cancelled');
});

it('gives the build of a worker that gives it up to another at once', async () => {
  const { worker, claim, id } = await inBuild();
  worker.drop();
  await worker.closed;
  await using next = await startBareWorker({
    url: other.wampUrl,
    hello: OFFER,
    onBuild: () => Promise.resolve(complete),
  });
  expect(await next.call('io.quay.builder.forsake', claim)).toBe(true);
  expect(await ended(farm, id)).toMatchObject({ tries: [{ outcome: 'lost' }, { outcome: 'complete' }] });
  expect(await next.call('io.quay.builder.forsake', claim)).toBe(false);
});

it('tells a worker without the extension nothing of a lease', async () => {
  const names = Promise.withResolvers<string[]>();
  await using _worker = await startBareWorker({
    url: farm.wampUrl,
    hello: { ...OFFER, extensions: ['cancel', 'resume'] },
    onBuild: (kwargs) => {
      names.resolve(Object.keys(kwargs));
      return Promise.resolve(complete);
    },
  });
  const { id } = await submit(farm, BUILD);
  expect(await names.promise).not.toContain('lease');
  await ended(farm, id);
  expect(await show(farm, id)).toMatchObject({ state: 'complete' });
});
