import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startBareWorker } from '../../../lab/bare-worker.ts';
import { startDatabaseServer, type LabDatabaseServer } from '../../../lab/database.ts';
import { managerProcedures, REGISTRATION_REALM } from '../../../src/contract/uris.ts';
import { loadRegistrationTickets, newTicket } from '../../../src/manager/realms/registration-tickets.ts';
import { openAutobahn } from '../../wamp/support/autobahn.ts';
import { startWorker } from '../../worker/harness.ts';
import { startTestListener, type TestListener } from '../support/listener.ts';

/** Who registers with `REGISTRATION=ticket`: our worker, the client that people use, and a deployed worker, which knows no tickets. */

const mine = newTicket('farm-1');
const others = newTicket('farm-2');
let database: LabDatabaseServer;
let directory: string;
let file: string;
beforeAll(async () => {
  database = await startDatabaseServer();
  directory = await mkdtemp(join(tmpdir(), 'quay-tickets-test-'));
  file = join(directory, 'tickets.json');
});
afterAll(async () => {
  await database.stop();
  await rm(directory, { recursive: true });
});

async function startManager(...tickets: (typeof mine)[]): Promise<TestListener> {
  await writeFile(file, JSON.stringify(tickets.map(({ entry }) => entry)));
  return startTestListener(database, {
    registration: await loadRegistrationTickets(file, (error) => {
      throw error;
    }),
  });
}

function showing(name: string, ticket: string): object {
  return { realm: REGISTRATION_REALM, authmethods: ['ticket'], authid: name, onchallenge: () => ticket };
}

it('our worker shows its ticket, and is known by its name from then on', async () => {
  await using manager = await startManager(mine, others);
  const url = new URL(manager.url);
  await using worker = await startWorker({
    manager: { url },
    ticket: { name: 'farm-1', ticket: mine.ticket },
  });
  await worker.logged('worker is ready');
  const [slot] = manager.ready;
  expect(slot?.session.realm.data.registeredAs).toBe('farm-1');
  expect(manager.logged()).toContain('"registeredAs":"farm-1","msg":"a worker registered"');
  expect(manager.logged() + worker.log()).not.toContain(mine.ticket);
});

it('our worker says what it lacks, and goes on trying', async () => {
  await using manager = await startManager(mine);
  const url = new URL(manager.url);
  await using worker = await startWorker({ manager: { url } });
  await worker.logged('wamp.error.authentication_required');
  await using wrong = await startWorker({
    manager: { url },
    ticket: { name: 'farm-1', ticket: others.ticket },
  });
  await wrong.logged('wamp.error.authentication_denied');
  // The ticket is made while it tries.
  await writeFile(file, JSON.stringify([mine.entry, { ...others.entry, name: 'farm-1' }].slice(1)));
  await wrong.logged('worker is ready');
});

it('a worker with a ticket registers where nobody asks for one', async () => {
  await using manager = await startTestListener(database);
  await using worker = await startWorker({
    manager: { url: new URL(manager.url) },
    ticket: { name: 'farm-1', ticket: mine.ticket },
  });
  await worker.logged('worker is ready');
  const [slot] = manager.ready;
  expect(slot?.session.realm.data.registeredAs).toBeNull();
});

it('a deployed worker is refused', async () => {
  await using manager = await startManager(mine);
  const starting = startBareWorker({
    url: manager.url,
    onBuild: () => Promise.reject(new Error('it has none')),
  });
  await expect(starting).rejects.toThrow('wamp.error.authentication_required');
});

it('the client that people use gets a realm by a ticket, by the right name alone', async () => {
  await using manager = await startManager(mine, others);
  const { url } = manager;
  using connection = await openAutobahn(url, showing('farm-1', mine.ticket));
  const realm = await connection.session.call(managerProcedures.register);
  expect(await manager.store.realms.find(String(realm))).toMatchObject({ registeredAs: 'farm-1' });
  for (const [name, ticket] of [
    ['farm-1', others.ticket],
    ['farm-2', mine.ticket],
    ['nobody', mine.ticket],
    ['farm-1', mine.entry.hash],
    ['farm-1', ''],
  ] as const) {
    const refused = openAutobahn(url, showing(name, ticket));
    await expect(refused).rejects.toThrow('wamp.error.authentication_denied');
  }
  expect(manager.drops.filter((drop) => drop === 'hello')).toHaveLength(5);
});

it('a ticket that was revoked is good no more', async () => {
  await using manager = await startManager(mine, others);
  await writeFile(file, JSON.stringify([others.entry]));
  const refused = openAutobahn(manager.url, showing('farm-1', mine.ticket));
  await expect(refused).rejects.toThrow('wamp.error.authentication_denied');
  using _other = await openAutobahn(manager.url, showing('farm-2', others.ticket));
});

it('an address that shows too many wrong tickets is not listened to for a minute', async () => {
  await writeFile(file, JSON.stringify([mine.entry]));
  let time = 0;
  const refused: string[] = [];
  await using manager = await startTestListener(database, {
    registration: await loadRegistrationTickets(file, (error) => {
      throw error;
    }),
    wrongTicketsPerMinute: 2,
    onRefused: (reason) => refused.push(reason),
    now: () => time,
  });
  for (const _ of [1, 2]) {
    const wrong = openAutobahn(manager.url, showing('farm-1', others.ticket));
    await expect(wrong).rejects.toThrow('wamp.error.authentication_denied');
  }
  const right = openAutobahn(manager.url, showing('farm-1', mine.ticket));
  await expect(right).rejects.toThrow('io.quay.buildworker.toomanywrongtickets');
  expect(refused).toEqual(['wrong_ticket', 'wrong_ticket', 'too_many_wrong']);
  time = 60_000;
  using _connection = await openAutobahn(manager.url, showing('farm-1', mine.ticket));
});
