import { afterAll, beforeAll, expect, it } from 'vitest';
import { startBareWorker } from '../../../lab/bare-worker.ts';
import { startDatabaseServer, type LabDatabaseServer } from '../../../lab/database.ts';
import { managerProcedures, REGISTRATION_REALM } from '../../../src/contract/uris.ts';
import { joinClient } from '../../wamp/support/server.ts';
import { startTestListener } from '../support/listener.ts';

/** How much of a manager somebody can use who registers. */

let database: LabDatabaseServer;
beforeAll(async () => {
  database = await startDatabaseServer();
});
afterAll(() => database.stop());

it('workers are let in at the paths that deployed ones are given or make, and at no other', async () => {
  await using manager = await startTestListener(database);
  for (const path of ['/', '/b1/socket', '/b1/socket/', '//b1/socket']) {
    const client = await joinClient(manager.url + path, REGISTRATION_REALM);
    client.socket.terminate();
  }
  await expect(joinClient(`${manager.url}/elsewhere`, REGISTRATION_REALM)).rejects.toThrow('404');
});

it('no more registrations a minute are taken from an address than were set', async () => {
  await using manager = await startTestListener(database, { registrationsPerMinute: 2, now: () => 0 });
  const client = await joinClient(`${manager.url}/`, REGISTRATION_REALM);
  const answers: unknown[] = [];
  for (const id of [1, 2, 3]) {
    const [code, , , , uri] = await client.ask([48, id, {}, managerProcedures.register]);
    answers.push(code === 8 ? uri : code);
  }
  expect(answers).toEqual([50, 50, 'io.quay.buildworker.toomanyregistrations']);
  client.socket.terminate();
});

it('a session whose worker does not become ready is ended, and one that is ready goes on', async () => {
  let later = 0;
  await using manager = await startTestListener(database, { now: () => Date.now() + later });
  await using worker = await startBareWorker({
    url: manager.url,
    onBuild: () => Promise.reject(new Error('it has none')),
  });
  const idler = await joinClient(`${manager.url}/`, REGISTRATION_REALM);
  const ended = idler.next();
  // It counts from when it is first seen: time goes on in leaps until then.
  const leaps = setInterval(() => (later += 40_000), 500);
  expect(await ended).toMatchObject([3, {}, 'wamp.error.timeout']);
  clearInterval(leaps);
  expect(await worker.call(managerProcedures.ping)).toBe('pong');
  expect(manager.ready.size).toBe(1);
});
