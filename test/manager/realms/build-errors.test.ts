import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { buildErrorKinds, type BuildErrorCode } from '../../../src/contract/build-errors.ts';
import { startBareWorker, type BareWorker } from '../../../lab/bare-worker.ts';
import { startFarm, type LabFarm } from '../../../lab/farm.ts';
import { quayBuild, show, submit } from '../../e2e/support.ts';

/** Each error of the contract, as a worker sends it and as the user reads it. */

const INTERNAL: readonly string[] = [
  'buildpackissue',
  'cannotpullforcache',
  'cachelookupissue',
  'buildrunerror',
  'tagissue',
  'pushissue',
  'dockerconnecterror',
  'missingorinvalidargument',
  'errorduringphasetransition',
  'internalerror',
  // We did not cancel: whatever made the worker say so, another may do better.
  'clientrejectedtransition',
];

let directory: string;
let farm: LabFarm;
let worker: BareWorker;
let answers: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'qlab-errors-'));
  farm = await startFarm({ directory });
  worker = await startBareWorker({
    url: farm.wampUrl,
    onBuild: () => Promise.resolve({ error: answers, kwargs: { base_error: `the words of ${answers}` } }),
  });
});
afterAll(async () => {
  await worker[Symbol.asyncDispose]();
  await farm.stop();
  await rm(directory, { recursive: true, force: true });
});

it.each(Object.keys(buildErrorKinds) as BuildErrorCode[])('%s', async (code) => {
  answers = `io.quay.builder.${code}`;
  const { id } = await submit(farm, {
    repository: 'team/app',
    build_package: 'http://127.0.0.1:9/package.tar',
  });
  await farm.manager.printed(new RegExp(`"build":"${id}".*"msg":"a try is over"`));
  const { state, tries } = await show(farm, id);
  const { message, help } = buildErrorKinds[code];
  const isInternal = INTERNAL.includes(code);
  expect(state).toBe(isInternal ? 'waiting' : 'error');
  expect(tries).toMatchObject([
    {
      outcome: isInternal ? 'internalerror' : 'error',
      error: { code, message, help, base_error: `the words of ${answers}` },
    },
  ]);
  const { stdout } = await quayBuild(farm, ['show', id]);
  expect(stdout).toContain(message);
  expect(stdout).toContain(`the words of ${answers}`);
  await fetch(`${farm.url}/api/v1/builds/${id}/cancel`, { method: 'POST' });
});
