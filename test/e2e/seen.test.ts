import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { auditListSchema } from '../../src/contract/api.ts';
import { readExposition, valueOf, type Sample } from '../manager/metrics/exposition.ts';
import { ended, followUntil, startE2e, submit, type E2e } from './support.ts';

/** What an operator sees of builds, by real workers: metrics, the log of the manager, the audit trail. */

const SECRET = 'swordfish-in-a-build';
const CAPABILITY = /\/packages\/(?!:)/;

let e2e: E2e;
let managerOutput = '';
beforeAll(async () => {
  e2e = await startE2e({
    env: { LOG_LEVEL: 'debug' },
    executors: ({ dockerHost }) => [
      {
        name: 'local',
        type: 'process',
        capacity: 1,
        // The others wait for the worker that is connected, also for the moment in which it is not ready yet.
        namespaces: ['hosted'],
        environment: { DOCKER_HOST: dockerHost },
      },
    ],
    onOutput: (program, text) => {
      if (program === 'manager') managerOutput += text;
    },
  });
});
afterAll(() => e2e[Symbol.asyncDispose]());

const dockerfile = (lines: string): Uint8Array<ArrayBuffer> =>
  new TextEncoder().encode(`FROM busybox:stable\n${lines}\n`);

async function metrics(): Promise<readonly Sample[]> {
  return readExposition(await (await fetch(`${e2e.farm.url}/metrics`)).text());
}

const lineSchema = z.looseObject({ msg: z.string(), build: z.string().nullish(), try: z.int().optional() });

/** The lines of the manager's log so far, whole ones. */
function logLines(): readonly { readonly text: string; readonly line: z.output<typeof lineSchema> }[] {
  return managerOutput
    .slice(0, managerOutput.lastIndexOf('\n') + 1)
    .split('\n')
    .filter((text) => text.startsWith('{'))
    .map((text) => ({ text, line: lineSchema.parse(JSON.parse(text)) }));
}

it('a build that succeeds, one that fails and one that is cancelled are seen in metrics, log and audit trail', async () => {
  const { farm, engine } = e2e;
  // By a worker that is started for it.
  const hosted = await ended(
    farm,
    (await submit(farm, { repository: 'hosted/app' }, dockerfile('RUN true'))).id,
  );
  expect(hosted.state).toBe('complete');
  await farm.startWorker(engine);
  const failing = { repository: 'team/failing', secrets: { word: SECRET } };
  const failed = await ended(farm, (await submit(farm, failing, dockerfile('RUN exit 7'))).id);
  expect(failed.state).toBe('error');
  const endless = await submit(farm, { repository: 'team/endless' }, dockerfile('RUN echo begun; sleep 600'));
  await followUntil(farm, endless.id, (events) => events.includes('begun\\n'));
  await fetch(`${farm.url}/api/v1/builds/${endless.id}/cancel`, { method: 'POST' });
  await ended(farm, endless.id);
  /** How often tries, or phases, ended by a cancellation, whichever way the manager heard of it first. */
  const cancelledCount = (from: readonly Sample[], name: string, label: string): number =>
    ['cancelled', 'elsewhere']
      .map((value) => valueOf(from, `quay_build_${name}_count`, { [label]: value }))
      .reduce((sum, each) => sum + each);
  // What happened is counted once it is stored, which is when it is told, too.
  await vi.waitFor(async () => {
    const samples = await metrics();
    const read = (name: string, labels?: Record<string, string>): number =>
      valueOf(samples, `quay_build_${name}`, labels);
    for (const state of ['complete', 'error', 'cancelled']) {
      expect(read('builds', { state })).toBe(1);
      expect(read('builds_ended_total', { state })).toBe(1);
    }
    for (const outcome of ['complete', 'error']) {
      expect(read('try_duration_seconds_count', { outcome })).toBe(1);
    }
    expect(read('errors_total', { code: 'builderror' })).toBe(1);
    expect(read('submit_to_start_seconds_count')).toBe(3);
    expect(read('claim_to_start_seconds_count', { kind: 'hosted' })).toBe(1);
    expect(read('claim_to_start_seconds_count', { kind: 'enterprise' })).toBe(2);
    expect(read('phase_duration_seconds_count', { phase: 'building', result: 'passed' })).toBe(1);
    expect(read('phase_duration_seconds_count', { phase: 'pushing', result: 'complete' })).toBe(1);
    expect(read('phase_duration_seconds_count', { phase: 'building', result: 'error' })).toBe(1);
    expect(cancelledCount(samples, 'try_duration_seconds', 'outcome')).toBe(1);
    expect(cancelledCount(samples, 'phase_duration_seconds', 'result')).toBe(1);
    expect(read('executor_launches_total', { executor: 'local', end: 'came' })).toBe(1);
    expect(read('executor_setup_seconds_count', { executor: 'local' })).toBe(1);
    expect(read('executor_capacity', { executor: 'local' })).toBe(1);
    expect(read('executor_up', { executor: 'local' })).toBe(1);
    expect(read('registrations_total', { result: 'accepted' })).toBe(1);
    expect(read('router_sessions')).toBeGreaterThanOrEqual(1);
    expect(read('database_up')).toBe(1);
    expect(read('database_statement_seconds_count', { statement: 'claim-build' })).toBeGreaterThanOrEqual(3);
    expect(read('log_records_total')).toBeGreaterThan(3);
    expect(read('lease_overdue_seconds')).toBe(0);
    expect(
      read('http_request_duration_seconds_count', { method: 'POST', route: '/api/v1/builds', status: '201' }),
    ).toBe(3);
  }, 60_000);

  const builds = [hosted.id, failed.id, endless.id];
  // The last line of each is written when all is over.
  await expect
    .poll(
      () =>
        logLines()
          .filter(({ line }) => line.msg === 'a try is over')
          .map(({ line }) => line.build)
          .sort(),
      {
        timeout: 60_000,
      },
    )
    .toEqual([...builds].sort());
  for (const { text, line } of logLines()) {
    for (const id of builds) if (text.includes(id)) expect(line).toMatchObject({ build: id });
    if (line.build && line.msg !== 'request' && !/^a build was (?:submitted|cancelled)$/.test(line.msg)) {
      expect(line, line.msg).toMatchObject({ try: 1 });
    }
  }
  const requests = logLines().filter(({ line }) => line.msg === 'request');
  const packages = requests.filter(({ line }) => line['path'] === '/packages/:capability');
  expect(packages.map(({ line }) => [line.build, line.try])).toEqual(builds.map((id) => [id, 1]));
  expect(managerOutput).not.toContain(SECRET);
  expect(managerOutput).not.toMatch(CAPABILITY);

  const audit = auditListSchema.parse(await (await fetch(`${farm.url}/api/v1/audit?action=build`)).json());
  expect(
    audit.entries.map(({ action, object, actor, address }) => ({ action, object, actor, address })),
  ).toEqual(
    [
      ['build.cancel', endless.id],
      ['build.submit', endless.id],
      ['build.submit', failed.id],
      ['build.submit', hosted.id],
    ].map(([action, object]) => ({ action, object, actor: 'anonymous', address: '127.0.0.1' })),
  );
  const [start] = auditListSchema.parse(
    await (await fetch(`${farm.url}/api/v1/audit?action=manager.start`)).json(),
  ).entries;
  expect(start?.detail).toMatchObject({ settings: { LOG_LEVEL: 'debug', REGISTRY: farm.registry.host } });
});
