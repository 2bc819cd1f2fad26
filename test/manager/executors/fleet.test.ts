import { expect, it, vi } from 'vitest';
import type { Executor } from '../../../src/manager/executors/executor.ts';
import { createFleet, type Fleet } from '../../../src/manager/executors/fleet.ts';
import { DatabaseAway, type HostedWorkerRow } from '../../../src/store/index.ts';

/** In which order executors are asked when a manager starts, and what it says of those that it does not know any more. */

function executor(name: string): Executor {
  return {
    settings: {
      name,
      capacity: 1,
      setupSeconds: 60,
      lifetimeSeconds: 60,
      namespaces: null,
      server: null,
      labels: {},
      extensions: [],
    },
    start: () => Promise.resolve(),
    stop: () => Promise.resolve(),
    list: () => Promise.resolve([]),
  };
}

function fleetOf(list: () => Promise<readonly HostedWorkerRow[]>, warn = vi.fn()): Fleet {
  return createFleet({
    executors: [executor('first'), executor('second')],
    hostedWorkers: {
      list,
      allocate: () => Promise.resolve(false),
      withdraw: () => Promise.resolve(false),
      remove: () => Promise.resolve(),
    },
    leases: { giveBack: () => Promise.resolve(null) },
    manager: 'manager-1',
    onLaunchEnd: () => undefined,
    logger: { info: () => undefined, warn },
    now: Date.now,
    signal: new AbortController().signal,
  });
}

it('the second is asked for nothing while the first could not be looked at, since the database was away', async () => {
  const list = vi.fn(() => Promise.resolve<readonly HostedWorkerRow[]>([]));
  list.mockResolvedValueOnce([]);
  list.mockRejectedValueOnce(new DatabaseAway('The database does not answer.'));
  const fleet = fleetOf(list);
  const offered = await new Promise<readonly string[]>((resolve) => {
    fleet.open('ws://127.0.0.1:9', () => resolve(fleet.rooms().map(({ settings }) => settings.name)));
  });
  expect(list.mock.calls.length).toBeGreaterThan(2);
  expect(offered).toEqual(['first', 'second']);
  await fleet.stop();
});

it('workers of an executor that is not in the file any more are told of', async () => {
  const lease = { buildId: 'b', try: 1, token: 't' };
  const row = {
    id: 'worker-7',
    executor: 'gone',
    lease,
    isWanted: true,
    isAwaited: false,
    isAway: false,
    isOver: false,
  };
  const warn = vi.fn();
  const fleet = fleetOf(() => Promise.resolve([row]), warn);
  await new Promise<void>((resolve) => fleet.open('ws://127.0.0.1:9', resolve));
  expect(warn).toHaveBeenCalledExactlyOnceWith(
    { executor: 'gone', workers: ['worker-7'] },
    expect.stringContaining('not in the file any more'),
  );
  await fleet.stop();
});
