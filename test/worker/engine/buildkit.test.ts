import { randomBytes } from 'node:crypto';
import { utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { importBaseImage } from '../../../lab/base-image.ts';
import { startEngine, type LabEngine } from '../../../lab/engine.ts';
import { startRegistry } from '../../../lab/registry.ts';
import type { EngineMessage } from '../../../src/contract/log-messages.ts';
import { createEngine } from '../../../src/worker/engine/index.ts';
import { buildOf, endless, makeContext, recordCall, runs, stop, tapWire } from './support.ts';

const BASE = 'test/base:1';
const KIB = 1024;
let lab: LabEngine;

beforeAll(async () => {
  lab = await startEngine();
  await importBaseImage(lab, BASE);
});
afterAll(() => lab.stop());

test('sends of a context only what changed', async () => {
  await using wire = await tapWire(lab.socket);
  const engine = createEngine({ dockerHost: wire.dockerHost, builder: 'buildkit' });
  await using context = await makeContext({
    Dockerfile: `FROM ${BASE}\nCOPY . /context\nRUN cat /context/changes\n`,
    big: randomBytes(4096 * KIB),
    changes: 'one\n',
    unused: randomBytes(KIB),
  });
  const build = buildOf(context.path);
  const sentBy = async (): Promise<number> => {
    const before = wire.sent();
    await engine.build(build, recordCall());
    return wire.sent() - before;
  };

  expect(await sentBy()).toBeGreaterThan(4096 * KIB);
  await writeFile(join(context.path, 'changes'), `two ${'x'.repeat(100 * KIB)}\n`);
  const second = await sentBy();
  expect(second).toBeGreaterThan(100 * KIB);
  expect(second).toBeLessThan(200 * KIB);
  expect(await sentBy()).toBeLessThan(50 * KIB);
  await wire.quiet();
});

test('two tenants whose files look alike get each their own', async () => {
  const engine = createEngine({ dockerHost: lab.dockerHost, builder: 'buildkit' });
  const time = new Date(1_700_000_000_000);
  for (const content of ['one tenant', 'the other!']) {
    await using context = await makeContext({
      Dockerfile: `FROM ${BASE}\nCOPY file /file\nRUN cat /file\n`,
      file: content,
    });
    await utimes(join(context.path, 'file'), time, time);
    const call = recordCall();
    await engine.build(buildOf(context.path), call);
    expect(call.output()).toContain(content);
  }
});

test('cache mounts of the same name are apart between shared keys, and the same within one', async () => {
  const engine = createEngine({ dockerHost: lab.dockerHost, builder: 'buildkit' });
  const sees = async (sharedKey: string, mark: string): Promise<string> => {
    await using context = await makeContext({
      Dockerfile: `FROM ${BASE}\nRUN --mount=type=cache,target=/c,id=shared echo "marks: $(ls /c | tr '\\n' ' ')"; touch /c/${mark}\n`,
    });
    const call = recordCall();
    await engine.build(buildOf(context.path, { sharedKey }), call);
    return /^marks: (.*)$/m.exec(call.output())?.[1]?.trim() ?? 'nothing printed';
  };
  expect(await sees('key of one', 'a')).toBe('');
  expect(await sees('key of another', 'b')).toBe('');
  expect(await sees('key of one', 'c')).toBe('a');
});

test('an image that was pushed primes the cache of an engine that never built it', async () => {
  await using registry = await startRegistry();
  await using other = await startEngine();
  const base = `${registry.host}/library/base`;
  const first = createEngine({ dockerHost: lab.dockerHost, builder: 'buildkit' });
  await first.tag(BASE, base, '1', recordCall().signal);
  await first.push(base, '1', null, recordCall());
  await using context = await makeContext({
    Dockerfile: `FROM ${base}:1\nCOPY file /file\nRUN cat /file; date > /time\n`,
    file: 'content',
  });
  const repository = `${registry.host}/team/app`;
  const { imageId } = await first.build(
    buildOf(context.path, { reference: `${repository}:v1` }),
    recordCall(),
  );
  await first.push(repository, 'v1', null, recordCall());

  const call = recordCall();
  const second = createEngine({ dockerHost: other.dockerHost, builder: 'buildkit' });
  const cacheFrom = [`${repository}:never-pushed`, `${repository}:v1`];
  expect(await second.build(buildOf(context.path, { cacheFrom }), call)).toEqual({ imageId });
  expect(call.output()).toContain('RUN cat /file; date > /time\n ---> Using cache\n');
});

test('prints a flood of output whole, and in order', async () => {
  // Less than 1 MiB: of more at once, Docker 20.10 cannot tell.
  const lines = 150_000;
  const engine = createEngine({ dockerHost: lab.dockerHost, builder: 'buildkit' });
  await using context = await makeContext({
    Dockerfile: `FROM ${BASE}\nRUN seq 1 ${lines}; printf 'and the end, wéll tóld'\n`,
  });
  const call = recordCall();
  await engine.build(buildOf(context.path), call);
  const printed = call.output();
  const start = printed.indexOf('\n1\n2\n') + 1;
  const numbers = printed.slice(start, printed.lastIndexOf('and the end')).trim().split('\n');
  expect(numbers.length).toBe(lines);
  expect(numbers.every((line, index) => line === String(index + 1))).toBe(true);
  expect(printed).toContain('and the end, wéll tóld\n');
});

test('says so when the engine clips what a step prints', async () => {
  await using clipping = await startEngine({
    env: { BUILDKIT_STEP_LOG_MAX_SIZE: '2000', BUILDKIT_STEP_LOG_MAX_SPEED: '1073741824' },
  });
  await importBaseImage(clipping, BASE);
  const engine = createEngine({ dockerHost: clipping.dockerHost, builder: 'buildkit' });
  await using context = await makeContext({ Dockerfile: `FROM ${BASE}\nRUN seq 1 10000\n` });
  const call = recordCall();
  await engine.build(buildOf(context.path), call);
  expect(call.output()).toContain('[output clipped');
  expect(call.messages.filter(({ status }) => status?.includes('BUILDKIT_STEP_LOG_MAX_SIZE'))).toHaveLength(
    1,
  );
});

test('counts the steps of stages that share a base, so that the last of N is N, cached or not', async () => {
  const engine = createEngine({ dockerHost: lab.dockerHost, builder: 'buildkit' });
  await using context = await makeContext({
    Dockerfile:
      `FROM ${BASE} AS one\nWORKDIR /w\nRUN echo a > a\nFROM ${BASE} AS unused\nRUN echo unused\n` +
      `FROM ${BASE}\nENV X=1\nCOPY --from=one /w/a /a\nRUN echo c\n`,
  });
  const steps = [
    `FROM docker.io/${BASE}`,
    'WORKDIR /w',
    'RUN echo a > a',
    'COPY --from=one /w/a /a',
    'RUN echo c',
  ].map((instruction, index) => `Step ${index + 1}/5 : ${instruction}\n`);
  const cached = ' ---> Using cache\n';
  const outputs: string[] = [];
  for (let time = 0; time < 2; time += 1) {
    const call = recordCall();
    await engine.build(buildOf(context.path), call);
    outputs.push(call.output());
  }
  const [from = ''] = steps;
  // Whether a base counts as cached depends on what was built before.
  const [first = '', second = ''] = outputs.map((output) => output.replace(from + cached, from));
  expect(first).toContain(`${steps.join('')}c\n`);
  expect(second).toContain(steps.join(cached).replace(cached, '') + cached);
});

test.for([
  { name: 'ends', tail: '' },
  { name: 'goes on', tail: '; sleep 2; echo later' },
])('a build that prints more at once than the engine can tell of $name all the same', async ({ tail }) => {
  const engine = createEngine({ dockerHost: lab.dockerHost, builder: 'buildkit' });
  const [before, after] = [endless(), endless()];
  await using context = await makeContext({
    Dockerfile: `FROM ${BASE}\nRUN echo begins; sleep ${before}; seq 1 600000; sleep ${after}${tail || '; true'}\nRUN echo the last step\n`,
  });
  const recorded = recordCall();
  let isHeld = false;
  const call = {
    ...recorded,
    // Reads nothing from before the step prints until it has, so that its output gathers in the engine.
    onMessage: async (message: EngineMessage) => {
      void recorded.onMessage(message);
      if (isHeld || message.stream?.includes('begins') !== true) return;
      isHeld = true;
      for (const time of [before, after]) {
        await expect.poll(() => runs(time)).toBe(true);
        await stop(time);
      }
    },
  };
  const { imageId } = await engine.build(buildOf(context.path), call);
  expect(imageId).toMatch(/^sha256:/);
  expect(recorded.messages.map(({ status }) => status)).toContainEqual(
    expect.stringContaining('The engine stopped telling what the build does'),
  );
});

test('a step that is given a secret is another for each tenant: neither joined while it runs nor had from the cache', async () => {
  const engine = createEngine({ dockerHost: lab.dockerHost, builder: 'buildkit' });
  await using context = await makeContext({
    Dockerfile: [
      `FROM ${BASE}`,
      'RUN --mount=type=secret,id=token for i in 1 2 3 4; do cat /run/secrets/token || echo none; sleep 0.5; done | tee /got',
      'RUN echo "got $(sort -u /got)"',
    ].join('\n'),
  });
  const printedBy = async (sharedKey: string, secret?: string): Promise<string> => {
    const call = recordCall();
    const secrets = new Map(secret === undefined ? [] : [['token', `${secret}\n`]]);
    await engine.build(buildOf(context.path, { sharedKey, secrets }), call);
    return call.output();
  };
  const [one, other, none] = await Promise.all([
    printedBy('key of one', 'secret of one'),
    printedBy('key of another', 'secret of another'),
    printedBy('key of a third'),
  ]);
  expect(one).toContain('got secret of one');
  expect(other).toContain('got secret of another');
  expect(other).not.toContain('secret of one');
  expect(none).toContain('got none');
  expect(none).not.toContain('secret of');
  const later = await printedBy('key of a fourth');
  expect(later).not.toContain('secret of');
  expect(await printedBy('key of one', 'secret of one')).toContain('Using cache');
});

test('a step that needs what the worker has fails for no fault of its own when the engine lost the worker', async () => {
  await using wire = await tapWire(lab.socket);
  const engine = createEngine({ dockerHost: wire.dockerHost, builder: 'buildkit' });
  const time = endless();
  await using context = await makeContext({
    Dockerfile: `FROM ${BASE}\nRUN echo it begins; sleep ${time} || true\nRUN --mount=type=secret,id=token wc -c /run/secrets/token\n`,
  });
  const call = recordCall();
  const build = engine.build(buildOf(context.path, { secrets: new Map([['token', 'secret']]) }), call);
  build.catch(() => undefined);
  await call.printed('it begins\n');
  await expect.poll(() => runs(time)).toBe(true);
  wire.cutSessions();
  await stop(time);
  await expect(build).rejects.toMatchObject({
    name: 'EngineError',
    kind: 'refused',
    message: expect.stringContaining('The engine lost the worker') as string,
  });
});
