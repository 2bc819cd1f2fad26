import { fork } from 'node:child_process';
import { once } from 'node:events';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { describe, expect, test } from 'vitest';
import { isAlive, isUnburied } from '../../../src/store/embedded/process-state.ts';
import { startEmbeddedServer, type EmbeddedServer } from '../../../src/store/embedded/server.ts';
import { openStore } from '../../../src/store/index.ts';
import { makeDataFolder, uidOf } from '../support/data-folder.ts';
import { log, newBuild, nextWakeUp, noBlobs } from '../support/store.ts';

const start = (dataDirectory: string): Promise<EmbeddedServer> => startEmbeddedServer({ dataDirectory, log });

async function ask(server: EmbeddedServer, text: string): Promise<unknown> {
  const client = new pg.Client(server.address);
  await client.connect();
  const { rows } = await client.query<Record<string, unknown>>(text);
  await client.end();
  return Object.values(rows[0] ?? {})[0];
}

function nextEvent(server: EmbeddedServer, type: 'up' | 'down'): Promise<void> {
  return new Promise((resolve) => {
    const unsubscribe = server.subscribe((event) => {
      if (event.type !== type) return;
      unsubscribe();
      resolve();
    });
  });
}

describe('our own server', () => {
  test('is private, durable and not root, and keeps its data while it is stopped', async () => {
    await using folder = await makeDataFolder();
    const server = await start(join(folder.path, 'data'));
    expect(await uidOf(server.pid)).not.toBe(0);
    expect(await ask(server, 'show fsync')).toBe('on');
    expect(await ask(server, 'show synchronous_commit')).toBe('on');
    expect(await ask(server, 'show listen_addresses')).toBe('');
    const { mode } = await stat(join(folder.path, 'data', 'postgresql'));
    expect(mode & 0o777).toBe(0o700);
    await ask(server, 'create table kept as select 7 as value');
    await server.stop();
    expect(isAlive(server.pid)).toBe(false);

    const again = await start(join(folder.path, 'data'));
    expect(await ask(again, 'select value from kept')).toBe(7);
    await again.stop();
  });

  test('of two managers on one folder is one server, which stops with the last of them', async () => {
    await using folder = await makeDataFolder();
    const [one, two] = await Promise.all([start(folder.path), start(folder.path)]);
    expect(two.pid).toBe(one.pid);
    const client = new pg.Client(two.address);
    await client.connect();
    await one.stop();
    expect((await client.query<{ one: number }>('select 1 as one')).rows).toEqual([{ one: 1 }]);
    await client.end();
    await two.stop();
    expect(isAlive(two.pid)).toBe(false);
  });

  test('outlives a manager that is killed, and the next one finds it and what it had accepted', async () => {
    await using folder = await makeDataFolder();
    const manager = fork(new URL('../support/embedded-manager.ts', import.meta.url), [folder.path]);
    const accepted: string[] = [];
    manager.on('message', (id) => accepted.push(id as string));
    await once(manager, 'message');
    manager.kill('SIGKILL');
    await once(manager, 'close');

    const attached = await start(folder.path);
    expect(isAlive(attached.pid)).toBe(true);
    const store = await openStore({ dataDirectory: folder.path, blobs: noBlobs, log });
    for (const id of accepted) expect(await store.builds.get(id)).not.toBeNull();
    await store.close();
    await attached.stop();
    expect(isAlive(attached.pid)).toBe(false);
  });

  test('starts again when it is killed, also when it was attached to', async () => {
    await using folder = await makeDataFolder();
    const starter = await start(folder.path);
    const attached = await start(folder.path);
    const first = starter.pid;
    const events = Promise.all([
      nextEvent(starter, 'down'),
      nextEvent(attached, 'down'),
      nextEvent(starter, 'up'),
      nextEvent(attached, 'up'),
    ]);
    process.kill(first, 'SIGKILL');
    await events;
    expect(starter.pid).not.toBe(first);
    expect(attached.pid).toBe(starter.pid);
    expect(await ask(attached, 'select 1')).toBe(1);
    await starter.stop();
    await attached.stop();
    expect(isAlive(starter.pid)).toBe(false);
  });

  test('killed while builds are submitted, again and again, loses none that was accepted', async () => {
    await using folder = await makeDataFolder();
    const watcher = await start(folder.path);
    const manager = fork(new URL('../support/embedded-manager.ts', import.meta.url), [folder.path]);
    const accepted: string[] = [];
    manager.on('message', (id) => accepted.push(id as string));
    for (let kills = 0; kills < 5; kills += 1) {
      await once(manager, 'message');
      const up = nextEvent(watcher, 'up');
      process.kill(watcher.pid, 'SIGKILL');
      await up;
    }
    await once(manager, 'message');
    manager.send('stop');
    await once(manager, 'close');
    const store = await openStore({ dataDirectory: folder.path, blobs: noBlobs, log });
    const { byState } = await store.builds.counts();
    expect(byState.waiting).toBeGreaterThanOrEqual(accepted.length);
    for (const id of accepted) expect(await store.builds.get(id)).not.toBeNull();
    await store.close();
    await watcher.stop();
  });
});

test('a process of the server that is killed takes all connections with it, and nothing that was accepted', async () => {
  await using folder = await makeDataFolder();
  const watcher = await start(folder.path);
  const store = await openStore({ dataDirectory: folder.path, blobs: noBlobs, log });
  const build = newBuild();
  await store.builds.submit(build);
  const { pid } = watcher;
  const client = new pg.Client(watcher.address);
  client.on('error', () => undefined);
  await client.connect();
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
  const ended = new Promise((resolve) => client.once('end', resolve));
  process.kill(Number(rows[0]?.pid), 'SIGKILL');
  await ended;
  const next = newBuild();
  await expect.poll(() => store.builds.submit(next).then(({ id }) => id, String)).toBe(next.id);
  expect(await store.builds.get(build.id)).not.toBeNull();
  expect(watcher.pid).toBe(pid);
  await store.close();
  await watcher.stop();
});

test('a server whose end nobody has asked for, as in a container without an init, does not keep the next from starting', async () => {
  await using folder = await makeDataFolder();
  // Its parent stops before it could ask.
  const manager = fork(new URL('../support/embedded-manager.ts', import.meta.url), [folder.path]);
  await once(manager, 'message');
  const next = await start(folder.path);
  const { pid } = next;
  manager.kill('SIGSTOP');
  const up = nextEvent(next, 'up');
  process.kill(pid, 'SIGKILL');
  await up;
  expect(isUnburied(pid)).toBe(true);
  expect(await ask(next, 'select 1')).toBe(1);
  manager.kill('SIGKILL');
  await once(manager, 'close');
  await next.stop();
});

test('a store whose server crashes says so, hides the gap where it may, and is told to look at everything', async () => {
  await using folder = await makeDataFolder();
  const watcher = await start(folder.path);
  const store = await openStore({ dataDirectory: folder.path, blobs: noBlobs, log });
  await nextWakeUp(store, ({ type }) => type === 'resync');
  const upBefore = store.health.upSince;
  const resync = nextWakeUp(store, ({ type }) => type === 'resync');
  process.kill(watcher.pid, 'SIGKILL');
  await nextEvent(watcher, 'down');
  const build = newBuild();
  expect((await store.builds.submit(build)).id).toBe(build.id);
  await resync;
  expect(await store.health.ping()).toBe(true);
  expect(store.health.awaySince).toBeNull();
  expect(store.health.upSince?.getTime()).toBeGreaterThan(upBefore?.getTime() ?? Infinity);
  await store.close();
  await watcher.stop();
});
