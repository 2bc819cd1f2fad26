import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startBareWorker } from '../../../lab/bare-worker.ts';
import { startDatabaseServer, type LabDatabaseServer } from '../../../lab/database.ts';
import { openClient } from '../../wamp/support/server.ts';
import { startTestListener } from '../support/listener.ts';

/** How much of the workers' listener, and of the store behind it, one address can take up. */

let database: LabDatabaseServer;
beforeAll(async () => {
  database = await startDatabaseServer();
});
afterAll(() => database.stop());

const hasNone = (): Promise<never> => Promise.reject(new Error('it has no build'));

async function open(url: string, localAddress: string): Promise<Socket> {
  const { hostname: host, port } = new URL(url);
  const socket = connect({ host, port: Number(port), localAddress });
  socket.on('error', () => undefined).resume();
  await once(socket, 'connect');
  return socket;
}

async function isClosed(socket: Socket): Promise<void> {
  if (!socket.closed) await once(socket, 'close');
}

it('a flood of connections from one address keeps no worker out that comes from another', async () => {
  let shutOut = 0;
  await using manager = await startTestListener(database, {
    connectionsPerAddress: 3,
    onShutOut: () => (shutOut += 1),
    // One minute, in which each thing is said once.
    now: () => 0,
  });
  const flood = await Promise.all([1, 2, 3].map(() => open(manager.url, '127.0.0.2')));
  for (let each = 0; each < 5; each++) {
    await isClosed(await open(manager.url, '127.0.0.2'));
  }
  expect(shutOut).toBe(5);
  expect(flood.some(({ destroyed }) => destroyed)).toBe(false);
  await using _worker = await startBareWorker({ url: manager.url, onBuild: hasNone });
  expect(manager.ready.size).toBe(1);
  expect(manager.logged().match(/more connections of one address/g)).toHaveLength(1);
  for (const socket of flood) socket.destroy();
});

it('a connection counts until its worker is ready, or it has gone', async () => {
  let shutOut = 0;
  await using manager = await startTestListener(database, {
    connectionsPerAddress: 1,
    onShutOut: () => (shutOut += 1),
  });
  await using _first = await startBareWorker({ url: manager.url, onBuild: hasNone });
  await using _second = await startBareWorker({ url: manager.url, onBuild: hasNone });
  expect(manager.ready.size).toBe(2);
  expect(shutOut).toBe(0);
  const idle = await open(manager.url, '127.0.0.1');
  await isClosed(await open(manager.url, '127.0.0.1'));
  expect(shutOut).toBe(1);
  idle.destroy();
  await expect
    .poll(() =>
      startBareWorker({ url: manager.url, onBuild: hasNone }).then(
        (worker) => worker[Symbol.asyncDispose](),
        String,
      ),
    )
    .toBeUndefined();
});

it('who asks for more realms that there are not than may be has the store asked no more, and others join', async () => {
  await using manager = await startTestListener(database, { unknownRealmsPerMinute: 2, now: () => 0 });
  const answers: unknown[] = [];
  for (let each = 0; each < 4; each++) {
    const client = await openClient(`${manager.url}/`, { localAddress: '127.0.0.2' });
    answers.push((await client.ask([1, `nowhere${each}`, { roles: { caller: {} } }]))[2]);
    client.socket.terminate();
  }
  const tooMany = 'io.quay.buildworker.toomanyunknownrealms';
  expect(answers).toEqual(['wamp.error.no_such_realm', 'wamp.error.no_such_realm', tooMany, tooMany]);
  expect(manager.logged().match(/too many realms were asked for/g)).toHaveLength(1);
  await using _worker = await startBareWorker({ url: manager.url, onBuild: hasNone });
  expect(manager.ready.size).toBe(1);
});
