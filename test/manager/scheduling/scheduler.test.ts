import { afterEach, expect, it, vi } from 'vitest';
import type { Executor } from '../../../src/manager/executors/executor.ts';
import type { BuildAnswer, Slot } from '../../../src/manager/realms/slot.ts';
import {
  startScheduler,
  type Scheduler,
  type SchedulerDependencies,
} from '../../../src/manager/scheduling/scheduler.ts';
import type { BuildRow, Claim, ClaimRequest, WakeUp } from '../../../src/store/index.ts';

/** When the scheduler looks for builds, and when it asks what became of those that run. */

const build: BuildRow = {
  id: '00000000-0000-4000-8000-000000000000',
  kind: 'image',
  spec: {},
  outputs: null,
  state: 'running',
  phase: null,
  progress: null,
  error: null,
  namespace: 'team',
  repository: 'team/app',
  registry: 'registry.example',
  tagNames: ['latest'],
  submittedBy: 'somebody',
  cancelledBy: null,
  requiredExtensions: [],
  maxTries: 3,
  triesCounted: 0,
  notBefore: null,
  priority: 0,
  parentId: null,
  platform: null,
  dedupeKey: null,
  workerLabels: [],
  exclusive: false,
  createdAt: new Date(0),
  startedAt: new Date(0),
  endedAt: null,
};
const claim: Claim & { readonly realm: string } = {
  build,
  secrets: null,
  credentials: [],
  lease: { buildId: build.id, try: 1, token: 'token-1' },
  realm: 'realm-1',
};

const scheduler: { running: Scheduler | null } = { running: null };
afterEach(async () => {
  await scheduler.running?.stop();
  await scheduler.running?.drained();
  scheduler.running = null;
});

interface Subject {
  readonly claims: ReturnType<typeof vi.fn<SchedulerDependencies['leases']['claim']>>;
  readonly renewals: ReturnType<typeof vi.fn<SchedulerDependencies['leases']['renew']>>;
  readonly fates: ReturnType<typeof vi.fn<SchedulerDependencies['leases']['fates']>>;
  readonly tellCancelled: ReturnType<typeof vi.fn>;
  readonly handedOver: Promise<void>;
  readonly answer: (answer: BuildAnswer) => void;
  readonly tell: (event: WakeUp) => void;
  readonly logger: { readonly info: ReturnType<typeof vi.fn>; readonly warn: ReturnType<typeof vi.fn> };
}

const NO_FLEET: SchedulerDependencies['fleet'] = {
  rooms: () => [],
  launch: () => expect.fail('there is no executor'),
  answered: () => undefined,
};

/** A scheduler with one ready slot, on a queue that a test answers for. */
function start(claims: Subject['claims'], fleet = NO_FLEET): Subject {
  const unexpected = (): Promise<never> => Promise.reject(new Error('this test does not come so far'));
  const renewals: Subject['renewals'] = vi.fn(({ tokens }) =>
    Promise.resolve({ renewed: tokens, cancelled: [], lost: [] }),
  );
  const fates: Subject['fates'] = vi.fn(() => Promise.resolve({ cancelled: [], lost: [] }));
  let tell: Subject['tell'] = () => undefined;
  const handedOver = Promise.withResolvers<undefined>();
  const answered = Promise.withResolvers<BuildAnswer>();
  const tellCancelled = vi.fn();
  const logger = { info: vi.fn(), warn: vi.fn() };
  const slot: Slot = {
    realm: 'realm-1',
    worker: { id: 'worker-1', slot: 0, slots: 1, labels: {}, kinds: ['image'] },
    extensions: [],
    build: () => {
      handedOver.resolve(undefined);
      return answered.promise;
    },
    resume: unexpected,
    free: () => Promise.resolve(),
    tellCancelled,
    dismiss: () => undefined,
  };
  const running = startScheduler({
    leases: {
      claim: claims,
      anyClaimable: unexpected,
      renew: renewals,
      fates,
      finish: () => Promise.resolve(false),
      giveBack: () => Promise.resolve(null),
      beginRunning: unexpected,
      handOver: unexpected,
      overdue: unexpected,
      suspend: unexpected,
      resume: unexpected,
      forsake: unexpected,
      enterPhase: unexpected,
      beginStep: unexpected,
      expireLeases: unexpected,
    },
    logs: { append: unexpected, heard: unexpected, read: unexpected },
    logMaxBytes: 2 ** 30,
    wakeUps: {
      subscribe: (listener) => {
        const before = tell;
        tell = (event) => {
          before(event);
          listener(event);
        };
        return () => undefined;
      },
    },
    manager: 'manager-1',
    leaseSeconds: 60,
    defaultMaxRunning: null,
    isDrained: () => false,
    fleet,
    prepare: () =>
      Promise.resolve({
        repository: 'team/app',
        registry: 'registry.example',
        tag_names: ['latest'],
        build_package: 'http://127.0.0.1:9/package.tar',
      }),
    secretsOf: () => [],
    cacheTag: () => Promise.resolve(''),
    onSlotBusy: () => undefined,
    logger,
    workerStopSeconds: 600,
    now: () => 0,
    random: () => 0.5,
    signal: new AbortController().signal,
  });
  scheduler.running = running;
  running.slotReady(slot);
  return {
    claims,
    renewals,
    fates,
    tellCancelled,
    handedOver: handedOver.promise,
    answer: answered.resolve,
    tell: (event) => tell(event),
    logger,
  };
}

it('misses no hint, however close to the end of a look it comes', async () => {
  for (let steps = 0; steps < 12; steps += 1) {
    const first = Promise.withResolvers<null>();
    const claims: Subject['claims'] = vi.fn(() => Promise.resolve(null));
    const { tell } = start(claims.mockReturnValueOnce(first.promise));
    first.resolve(null);
    for (let step = 0; step < steps; step += 1) await Promise.resolve();
    tell({ type: 'queue' });
    await new Promise(setImmediate);
    expect(claims, `a hint ${steps} steps after the answer`).toHaveBeenCalledTimes(2);
    await scheduler.running?.stop();
    await scheduler.running?.drained();
  }
});

it('asks what became of every try when hints may have been missed', async () => {
  const { tell, handedOver, renewals, tellCancelled, answer, logger } = start(
    vi.fn<SchedulerDependencies['leases']['claim']>(() => Promise.resolve(null)).mockResolvedValueOnce(claim),
  );
  await handedOver;
  renewals.mockResolvedValueOnce({ renewed: [], cancelled: ['token-1'], lost: [] });
  tell({ type: 'resync' });
  await expect.poll(() => tellCancelled).toHaveBeenCalledExactlyOnceWith('cancelled');
  answer({ type: 'result', kwargs: {} });
  // That its worker answers too late is no trouble.
  const over = [expect.objectContaining({ ended: 'cancelled' }), 'a try is over'];
  await expect.poll(() => logger.info.mock.calls).toContainEqual(over);
  expect(logger.warn).not.toHaveBeenCalled();
});

it('looks at the try of a build that changed, and once more for all that change while it looks', async () => {
  const { tell, handedOver, fates, renewals, tellCancelled, answer } = start(
    vi.fn<SchedulerDependencies['leases']['claim']>(() => Promise.resolve(null)).mockResolvedValueOnce(claim),
  );
  await handedOver;
  const first = Promise.withResolvers<Awaited<ReturnType<Subject['fates']>>>();
  fates.mockReturnValueOnce(first.promise);
  fates.mockResolvedValueOnce({ cancelled: ['token-1'], lost: [] });
  tell({ type: 'build', id: 'another' });
  expect(fates).not.toHaveBeenCalled();
  for (let step = 0; step < 5; step += 1) tell({ type: 'build', id: claim.build.id });
  expect(fates).toHaveBeenCalledExactlyOnceWith({ manager: 'manager-1', tokens: ['token-1'] });
  first.resolve({ cancelled: [], lost: [] });
  await expect.poll(() => tellCancelled).toHaveBeenCalledExactlyOnceWith('cancelled');
  expect(fates).toHaveBeenCalledTimes(2);
  expect(renewals).not.toHaveBeenCalled();
  answer({ type: 'result', kwargs: {} });
});

function executorOf(name: string, labels: Readonly<Record<string, string>>): Executor {
  return {
    settings: {
      name,
      capacity: 1,
      setupSeconds: 60,
      lifetimeSeconds: 600,
      labels,
      extensions: [],
      namespaces: null,
      server: null,
    },
    start: () => Promise.resolve(),
    stop: () => Promise.resolve(),
    list: () => Promise.resolve([]),
  };
}

it('gives a slot what is submitted after slots were asked, and before executors are', async () => {
  const asked: ClaimRequest[] = [];
  const claims: Subject['claims'] = vi.fn((request) => {
    asked.push(request);
    return Promise.resolve(asked.length === 2 ? claim : null);
  });
  const { handedOver, answer } = start(claims, {
    ...NO_FLEET,
    rooms: () => [executorOf('first', { zone: 'north' })],
  });
  await handedOver;
  expect(asked.slice(0, 2)).toMatchObject([
    { worker: { realm: 'realm-1' }, labels: {} },
    {
      worker: null,
      labels: { zone: 'north' },
      others: [{ id: 'worker-1', slot: 0, realm: 'realm-1', kinds: ['image'], extensions: [], labels: {} }],
    },
  ]);
  answer({ type: 'result', kwargs: {} });
});

it('gives what is submitted while executors are asked to the first of those that are alike', async () => {
  const launched: string[] = [];
  const asked: ClaimRequest['labels'][] = [];
  const claims: Subject['claims'] = vi.fn(({ worker, labels }) => {
    if (worker !== null) return Promise.resolve(null);
    asked.push(labels);
    if (asked.length === 1) tell({ type: 'queue' });
    return Promise.resolve(asked.length === 3 ? { ...claim, realm: null } : null);
  });
  const { tell } = start(claims, {
    rooms: () => [
      executorOf('first', { zone: 'north', disk: 'fast' }),
      executorOf('second', { disk: 'fast', zone: 'north' }),
      executorOf('other', {}),
    ],
    launch: ({ settings }, { lease }) => {
      launched.push(settings.name);
      return {
        lease,
        workerId: 'worker',
        endedElsewhere: () => undefined,
        came: () => undefined,
        workerEnded: () => undefined,
        stop: () => undefined,
        done: Promise.resolve('cancelled'),
      };
    },
    answered: () => undefined,
  });
  await expect.poll(() => launched).toEqual(['first']);
  const north = { zone: 'north', disk: 'fast' };
  expect(asked.slice(0, 3)).toEqual([north, {}, north]);
});
