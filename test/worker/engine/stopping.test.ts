import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { importBaseImage } from '../../../lab/base-image.ts';
import { startEngine, type LabEngine } from '../../../lab/engine.ts';
import { createEngine } from '../../../src/worker/engine/index.ts';
import { buildOf, endless, makeContext, recordCall, runs, tapWire } from './support.ts';

const BASE = 'test/base:1';
let lab: LabEngine;

beforeAll(async () => {
  lab = await startEngine();
  await importBaseImage(lab, BASE);
});
afterAll(() => lab.stop());

describe.each(['buildkit', 'classic'] as const)('%s', (builder) => {
  test('a build that is aborted in a step leaves no connection, no container and no process', async () => {
    await using wire = await tapWire(lab.socket);
    const engine = createEngine({ dockerHost: wire.dockerHost, builder });
    const time = endless();
    await using context = await makeContext({
      Dockerfile: `FROM ${BASE}\nRUN echo it begins; sleep ${time}\n`,
    });
    const controller = new AbortController();
    const call = recordCall(controller.signal);
    const build = engine.build(buildOf(context.path), call);
    await call.printed('it begins\n');
    await expect.poll(() => runs(time)).toBe(true);

    controller.abort(new Error('told to stop'));

    await expect(build).rejects.toThrow('told to stop');
    await wire.quiet();
    await expect.poll(() => runs(time)).toBe(false);
    await expect.poll(() => lab.docker(['ps', '-aq'])).toBe('');
  });

  test('a build that is aborted while its context goes out leaves no connection', async () => {
    await using wire = await tapWire(lab.socket);
    const engine = createEngine({ dockerHost: wire.dockerHost, builder });
    const size = 32 * 1024 * 1024;
    await using context = await makeContext({
      Dockerfile: `FROM ${BASE}\nCOPY . /context\n`,
      ...Object.fromEntries(
        Array.from({ length: 8 }, (_, index) => [`part-${index}`, randomBytes(size / 8)]),
      ),
    });
    const controller = new AbortController();
    const build = engine.build(buildOf(context.path), recordCall(controller.signal));
    build.catch(() => undefined);
    await expect.poll(() => wire.sent(), { interval: 1 }).toBeGreaterThan(100_000);

    controller.abort(new Error('told to stop'));

    await expect(build).rejects.toThrow('told to stop');
    await wire.quiet();
    expect(wire.sent()).toBeLessThan(size);
  });

  test('a build with an aborted signal does not begin', async () => {
    const engine = createEngine({ dockerHost: 'unix:///nowhere/docker.sock', builder });
    await expect(
      engine.build(buildOf('/nowhere'), recordCall(AbortSignal.abort(new Error('too late')))),
    ).rejects.toThrow('too late');
  });

  test('an engine that is killed in mid-build is unreachable', async () => {
    await using doomed = await startEngine();
    await importBaseImage(doomed, BASE);
    const engine = createEngine({ dockerHost: doomed.dockerHost, builder });
    const time = endless();
    await using context = await makeContext({
      Dockerfile: `FROM ${BASE}\nRUN echo it begins; sleep ${time}\n`,
    });
    const call = recordCall();
    const build = engine.build(buildOf(context.path), call);
    build.catch(() => undefined);
    await call.printed('it begins\n');

    process.kill(doomed.pid, 'SIGKILL');

    await expect(build).rejects.toMatchObject({ name: 'EngineError', kind: 'unreachable' });
    await expect(engine.describe(recordCall().signal)).rejects.toMatchObject({ kind: 'unreachable' });
    await expect(engine.inspect(BASE, recordCall().signal)).rejects.toMatchObject({ kind: 'unreachable' });
  });
});
