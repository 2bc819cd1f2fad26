import { afterAll, beforeAll, expect, it } from 'vitest';
import { startDatabaseServer, type LabDatabaseServer } from '../../../lab/database.ts';
import type { LogEvent } from '../../../src/manager/http/ports.ts';
import { createBuildViews } from '../../../src/manager/http/waiting-view.ts';
import { createFollowLog } from '../../../src/manager/logs/follow.ts';
import type { WakeUp } from '../../../src/store/index.ts';
import { claimNew, openTestStore, record } from '../../store/support/store.ts';

/** What is read for a viewer, of a real store whose hints a test gives. */

let server: LabDatabaseServer;
beforeAll(async () => {
  server = await startDatabaseServer();
});
afterAll(() => server.stop());

const SPEC = {
  source: { type: 'url', url: 'https://files.example/app.tgz' },
  context: '',
  dockerfile_path: '',
};

it('reads the log when that has grown, the build when that has changed, and both at its end', async () => {
  await using store = await openTestStore(server);
  const { build, lease } = await claimNew(store, { spec: SPEC });
  const { id } = build;
  const reads: string[] = [];
  let tell: (event: WakeUp) => void = () => undefined;
  const builds: typeof store.builds = {
    ...store.builds,
    get: (...args) => {
      reads.push('build');
      return store.builds.get(...args);
    },
  };
  const logs: typeof store.logs = {
    ...store.logs,
    read: (...args) => {
      reads.push('log');
      return store.logs.read(...args);
    },
  };
  const wakeUps: typeof store.wakeUps = {
    subscribe: (listener) => {
      tell = listener;
      return () => undefined;
    },
  };
  const views = createBuildViews({ waits: store.waits, defaultMaxRunning: null, now: () => 0 });
  const viewer = createFollowLog({ builds, logs, wakeUps }, views)(
    id,
    { try: 0, seq: 0 },
    new AbortController().signal,
  )[Symbol.asyncIterator]();
  /** The next event, and what was read for it. */
  const next = async (): Promise<[LogEvent | undefined, readonly string[]]> => {
    const before = reads.length;
    const event = await viewer.next();
    return [event.done === true ? undefined : event.value, reads.slice(before)];
  };

  await store.logs.append(lease, [record(1)]);
  expect(await next()).toMatchObject([{ type: 'build', build: { phase: null } }, ['build']]);
  expect(await next()).toMatchObject([{ type: 'log', records: [{ seq: 1 }] }, ['log']]);

  await store.leases.enterPhase(lease, 'building');
  tell({ type: 'build', id });
  expect(await next()).toMatchObject([{ type: 'build', build: { phase: 'building' } }, ['build']]);

  await store.logs.append(lease, [record(2)]);
  tell({ type: 'log', id });
  expect(await next()).toMatchObject([{ type: 'log', records: [{ seq: 2 }] }, ['log']]);

  // Hints that came together are served together.
  await store.leases.enterPhase(lease, 'pushing');
  await store.logs.append(lease, [record(3)]);
  tell({ type: 'log', id });
  tell({ type: 'build', id });
  expect(await next()).toMatchObject([{ type: 'build', build: { phase: 'pushing' } }, ['build']]);
  expect(await next()).toMatchObject([{ type: 'log', records: [{ seq: 3 }] }, ['log']]);

  // What its log got last is told before its end, also where the hint of that has not come yet.
  await store.logs.append(lease, [record(4)]);
  await store.leases.finish(lease, { state: 'complete', outputs: { image_id: '', digests: {} } });
  tell({ type: 'build', id });
  expect(await next()).toMatchObject([{ type: 'log', records: [{ seq: 4 }] }, ['build', 'log']]);
  expect(await next()).toMatchObject([{ type: 'build', build: { state: 'complete' } }, []]);
  expect(await next()).toEqual([undefined, []]);
});
