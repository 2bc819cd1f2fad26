import { fork } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { startDatabaseServer } from '../../lab/database.ts';
import { newBuild, openTestStore } from './support/store.ts';

const BUILDS = 1000;
const PROCESSES = 3;

interface Report {
  readonly finished: readonly string[];
  readonly late: number;
}

test('many managers, short leases and stalled workers: each build is finished exactly once', async () => {
  await using server = await startDatabaseServer();
  await using store = await openTestStore(server);
  const submitted = await Promise.all(
    Array.from({ length: BUILDS }, async () => (await store.builds.submit(newBuild())).id),
  );
  const allEnded = new Promise<void>((resolve, reject) => {
    const look = (): void => {
      store.builds.counts().then(({ byState }) => {
        if (byState.complete === BUILDS) resolve();
      }, reject);
    };
    store.wakeUps.subscribe(look);
    look();
  });

  const claimants = Array.from({ length: PROCESSES }, (_, index) =>
    fork(new URL('support/claimant.ts', import.meta.url), [store.url, `manager-${index}`]),
  );
  const reports = claimants.map(async (claimant) => {
    const [report] = (await once(claimant, 'message')) as [Report];
    return report;
  });
  await allEnded;
  for (const claimant of claimants) claimant.send('stop');

  const told = await Promise.all(reports);
  const finished = told.flatMap((report) => report.finished);
  expect(finished.toSorted()).toEqual(submitted.toSorted());
  expect(told.reduce((sum, report) => sum + report.late, 0)).toBeGreaterThan(0);
  expect((await store.builds.counts()).byState).toMatchObject({ waiting: 0, running: 0, complete: BUILDS });
});
