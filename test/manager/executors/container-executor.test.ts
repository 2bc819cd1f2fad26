import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { importBaseImage } from '../../../lab/base-image.ts';
import { startEngine, type LabEngine } from '../../../lab/engine.ts';
import { folderPrefix } from '../../../lab/orphans.ts';
import type { ExecutorEntry } from '../../../src/manager/executors/executors-file.ts';
import { openExecutor } from '../../../src/manager/executors/open-executor.ts';
import { executorSuite, marked, newOrder, SLEEPING_WORKER, type ExecutorUnderTest } from './conformance.ts';
import { fleetSuite } from './fleet-suite.ts';

/** Workers as containers of a Docker engine. */

let engine: LabEngine;
beforeAll(async () => {
  engine = await startEngine();
  await importBaseImage(engine, 'base');
  const directory = await mkdtemp(`${folderPrefix()}image-`);
  await writeFile(join(directory, 'worker'), SLEEPING_WORKER);
  await chmod(join(directory, 'worker'), 0o755);
  await writeFile(join(directory, 'Dockerfile'), 'FROM base\nCOPY worker /worker\nCMD ["/worker"]\n');
  await engine.docker(['build', '--quiet', '--tag', 'worker', directory], { env: { DOCKER_BUILDKIT: '0' } });
  await rm(directory, { recursive: true });
});
afterAll(() => engine.stop());

type ContainerEntry = Extract<ExecutorEntry, { type: 'container' }>;

async function make(): Promise<ExecutorUnderTest & { readonly entry: ContainerEntry }> {
  const directory = await mkdtemp(`${folderPrefix()}executor-`);
  return {
    entry: {
      name: 'containers',
      type: 'container',
      capacity: 10,
      namespaces: null,
      labels: {},
      extensions: [],
      setup_seconds: 60,
      lifetime_seconds: 600,
      server: null,
      environment: {},
      image: 'worker',
      engine: `unix://${engine.socket}`,
      socket: null,
      network: null,
      memory_bytes: null,
      cpus: null,
      processes: null,
    },
    surroundings: { manager: 'manager-1', directory, program: '', leaveWithinMs: 1 },
    visible: async () => {
      const all = z.array(z.looseObject({ Config: z.looseObject({}) })).parse(await inspectAll());
      // Who may inspect a container may do anything; its environment is where the contract wants the token.
      return JSON.stringify(all.map(({ Config, ...rest }) => ({ ...rest, Config: { ...Config, Env: [] } })));
    },
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  };
}

async function inspectAll(): Promise<unknown> {
  const ids = (await engine.docker(['ps', '--all', '--quiet'])).split('\n').filter((id) => id !== '');
  return ids.length === 0 ? [] : JSON.parse(await engine.docker(['inspect', ...ids]));
}

executorSuite('a container of a Docker engine', make);
fleetSuite('a container of a Docker engine', make);

test('a container has the limits, the socket and the network that its executor says', async () => {
  await using under = await make();
  const { entry, running } = marked({
    ...under.entry,
    socket: engine.socket,
    network: 'host',
    memory_bytes: 64 * 1024 ** 2,
    cpus: 0.5,
    processes: 50,
  });
  const executor = await openExecutor(entry, under.surroundings);
  const order = newOrder();
  await executor.start(order);
  await expect.poll(running).toBe(3);
  expect(await inspectAll()).toMatchObject([
    {
      HostConfig: {
        Binds: [`${engine.socket}:/var/run/docker.sock`],
        NetworkMode: 'host',
        Memory: 64 * 1024 ** 2,
        NanoCpus: 500_000_000,
        PidsLimit: 50,
        Privileged: false,
      },
    },
  ]);
  await executor.stop(order.id);
  expect(await inspectAll()).toEqual([]);
});

test('containers that others started are left alone', async () => {
  await using under = await make();
  const executor = await openExecutor(under.entry, under.surroundings);
  const theirs = await engine.docker(['run', '--detach', 'base', 'sleep', '1000']);
  const order = newOrder();
  await executor.start(order);
  await executor.stop(order.id);
  expect(await engine.docker(['ps', '--quiet', '--no-trunc'])).toBe(theirs);
  await engine.docker(['rm', '--force', theirs.trim()]);
});

test('an image that is not there, and an engine that is not, are said in so many words, without the token', async () => {
  await using under = await make();
  const order = newOrder();
  const refusal = async (entry: ExecutorEntry): Promise<string> => {
    const executor = await openExecutor(entry, under.surroundings);
    const error: unknown = await executor.start(order).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ name: 'ExecutorError', kind: 'failed' });
    return error instanceof Error ? error.message : '';
  };
  const messages = [
    await refusal({ ...under.entry, image: 'nobody/has-it:1' }),
    await refusal({ ...under.entry, engine: `unix://${under.surroundings.directory}/none.sock` }),
    await refusal({ ...under.entry, network: 'no-such-network' }),
  ];
  expect(messages[0]).toContain('no image nobody/has-it:1: pull it there first');
  expect(messages[1]).toContain('ENOENT');
  expect(messages[2]).toContain('no-such-network');
  expect(messages.join()).not.toContain(order.token);
  // What the engine had made before it failed goes with a stop.
  const executor = await openExecutor(under.entry, under.surroundings);
  await executor.stop(order.id);
  expect(await inspectAll()).toEqual([]);
});
