import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startDatabaseServer, type LabDatabaseServer } from '../../../lab/database.ts';
import { endOverdueTries } from '../../../src/manager/scheduling/overdue.ts';
import type { HandOver } from '../../../src/store/index.ts';
import { claimNew, longLimits, openTestStore, type TestStore } from '../../store/support/store.ts';

/** What becomes of a build whose worker neither ends it nor says anything. */

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

const late: HandOver = { ...longLimits, timeoutSeconds: 0 };
const silent: HandOver = { ...longLimits, silenceSeconds: 0 };

it.each<[what: string, limits: HandOver, phase: string | null, becomes: string, words: RegExp]>([
  ['builds too long', late, 'building', 'error', /^The build took longer than 0 s \(timeout\)/],
  ['pushes when its time is over', late, 'pushing', 'error', /^The build took longer than/],
  ['never began', late, null, 'waiting', /^The worker did not end the build within .* before it began/],
  ['prints nothing', silent, 'building', 'error', /^The build printed nothing for 0 s \(silence_timeout\)/],
  ['says nothing of a push', silent, 'pushing', 'waiting', /^The worker said nothing .* phase pushing/],
  ['says nothing at all', silent, null, 'waiting', /^The worker said nothing of the build for 0 s/],
])('a try that %s: its build is %s', async (_what, limits, phase, becomes, words) => {
  const kind = randomUUID();
  const { build, lease } = await claimNew(store, { kind }, { kinds: [kind] });
  await store.leases.handOver(lease, limits);
  if (phase !== null) await store.leases.enterPhase(lease, phase);
  const warnings: object[] = [];
  const logger = { warn: (fields: object) => void warnings.push(fields) };
  await endOverdueTries({ leases: store.leases, graceSeconds: 0, random: () => 0.5, logger });
  const ended = await store.builds.get(build.id);
  expect(ended).toMatchObject({ state: becomes, triesCounted: 1, tries: [{ counted: true }] });
  expect(ended?.tries[0]?.error?.base_error).toMatch(words);
  expect(ended?.notBefore === null).toBe(becomes === 'error');
  expect(warnings).toEqual([{ build: build.id, try: 1, phase, became: becomes }]);
  await store.builds.cancel(build.id, 'bob');
});

it('a worker that was to keep the limit itself has failed, and its build is tried again', async () => {
  const { build, lease } = await claimNew(store);
  await store.leases.handOver(lease, { ...late, marginSeconds: 1 });
  await store.leases.enterPhase(lease, 'building');
  const logger = { warn: () => undefined };
  await expect
    .poll(
      async () => {
        await endOverdueTries({ leases: store.leases, graceSeconds: 0, random: () => 0.5, logger });
        return store.builds.get(build.id);
      },
      { timeout: 60_000 },
    )
    .toMatchObject({
      state: 'waiting',
      tries: [{ outcome: 'internalerror', error: { code: 'internalerror' } }],
    });
});
