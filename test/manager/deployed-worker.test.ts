import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startFarm, type LabFarm } from '../../lab/farm.ts';
import { startProcess, type LabProcess } from '../../lab/process.ts';
import { ended, logOf, show, submit } from '../e2e/support.ts';
import { program, PYTHON } from '../peers/python.ts';

/** A worker made from the text of the contract alone, in another language and with another WAMP library (test/peers/build_worker.py). */

const DIGEST = `sha256:${'5e'.repeat(32)}`;

const stack = new AsyncDisposableStack();
let farm: LabFarm;
let worker: LabProcess;
beforeAll(async () => {
  const directory = await mkdtemp(join(tmpdir(), 'qlab-deployed-'));
  stack.defer(() => rm(directory, { recursive: true, force: true }));
  // Python may be slow to get a turn.
  farm = stack.use(await startFarm({ directory, env: { HEARTBEAT_TIMEOUT_SECONDS: '60' } }));
  worker = stack.use(startProcess(PYTHON, program('build_worker.py', `${farm.wampUrl}/b1/socket`)));
  await worker.printed(/"ready": true/);
});
afterAll(() => stack.disposeAsync());

/** A build of which the worker makes what its repository is called. */
const build = (name: string) =>
  submit(farm, {
    repository: `team/${name}`,
    tag_names: ['latest', 'v1'],
    build_package: 'http://127.0.0.1:9/package.tar',
  });

test('it is told what to build by the names of the contract alone, and its result and log are kept', async () => {
  const { id } = await build('completes');
  expect(await ended(farm, id)).toMatchObject({
    state: 'complete',
    digests: { latest: DIGEST, v1: DIGEST },
    tries: [{ outcome: 'complete' }],
  });
  const told = await worker.printed(/"arguments": (\{.*\})\}/);
  const args = JSON.parse(told[1] ?? '') as Record<string, unknown>;
  expect(args).toMatchObject({
    build_package: 'http://127.0.0.1:9/package.tar',
    context: '/',
    dockerfile_path: 'Dockerfile',
    repository: 'team/completes',
    registry: farm.registry.host,
    tag_names: ['latest', 'v1'],
    base_image: {},
  });
  expect(Object.keys(args).toSorted()).toEqual([
    'base_image',
    'build_package',
    'context',
    'dockerfile_path',
    'pull_token',
    'push_token',
    'registry',
    'repository',
    'tag_names',
  ]);
  const log = await logOf(farm, id);
  expect(log).toContain('Step 1/2 : FROM scratch\n ---> \nStep 2/2 : LABEL a=b\n');
});

test('it may tell nothing of what it has built', async () => {
  const { id } = await build('tellsnothing');
  expect(await ended(farm, id)).toMatchObject({ state: 'complete', digests: { latest: null, v1: null } });
});

test('its errors are told, those of the contract and those of WAMP', async () => {
  const failed = await build('fails');
  expect(await ended(farm, failed.id)).toMatchObject({
    state: 'error',
    error: { code: 'builderror', base_error: 'the step says no' },
  });
  const crashed = await build('crashes');
  const firstError = async () => (await show(farm, crashed.id)).tries[0]?.error;
  await expect
    .poll(firstError, { timeout: 60_000 })
    .toMatchObject({ code: 'internalerror', base_error: "a bug of the worker's" });
  await fetch(`${farm.url}/api/v1/builds/${crashed.id}/cancel`, { method: 'POST' });
});

test('it is told of a cancellation by the answer to its next line', async () => {
  const { id } = await build('iscancelled');
  await worker.printed(/"began": "iscancelled"/);
  await fetch(`${farm.url}/api/v1/builds/${id}/cancel`, { method: 'POST' });
  await worker.printed(/"told": "to stop"/);
  expect(await show(farm, id)).toMatchObject({ state: 'cancelled' });
});

test('nobody has a realm of its own making, another version, or a place beside it', async () => {
  const { id } = await build('isnotready');
  expect(await ended(farm, id)).toMatchObject({ state: 'complete' });
  await worker.printed(/"ready_of_another_version": false/);
  await worker.printed(/"second_worker": "wamp\.error\.procedure_already_exists"/);
  await worker.printed(/"realm_of_its_own": "wamp\.error\.no_such_realm"/);
});

test('when its connection breaks it comes back as another, and builds again', async () => {
  const { id } = await build('islost');
  expect(await ended(farm, id)).toMatchObject({
    state: 'complete',
    tries: [{ outcome: 'lost' }, { outcome: 'complete' }],
  });
});
