import pg from 'pg';
import pino from 'pino';
import { expect, test } from 'vitest';
import { mountSmallDisk } from '../../../lab/small-disk.ts';
import { startEmbeddedServer } from '../../../src/store/embedded/server.ts';
import { DatabaseAway, openStore, type Store } from '../../../src/store/index.ts';
import { log, newBuild, nextWakeUp, noBlobs } from '../support/store.ts';

/** A disk that fills up under our own server, and has room again later. */

const DISK_BYTES = 150 * 1024 ** 2;

async function submitUntilFull(store: Store, accepted: string[]): Promise<unknown> {
  for (;;) {
    const build = newBuild({ spec: { filler: 'x'.repeat(1500) } });
    try {
      accepted.push((await store.builds.submit(build)).id);
    } catch (error) {
      return error;
    }
  }
}

test('a full disk is said so; nothing that was accepted is lost, and it goes on when there is room', async () => {
  await using disk = await mountSmallDisk(DISK_BYTES);
  const told: string[] = [];
  const telling = pino({ level: 'error' }, { write: (line) => told.push(line) });
  const store = await openStore({ dataDirectory: disk.path, blobs: noBlobs, log: telling });
  const accepted: string[] = [];
  await nextWakeUp(store, ({ type }) => type === 'resync');
  await disk.fill();
  const error = await submitUntilFull(store, accepted);
  // Without room, a statement fails, or the server ends.
  expect(error).toBeInstanceOf(DatabaseAway);
  await expect.poll(() => told.join('')).toMatch(/disk of .+ is full/);
  await disk.free();
  await expect.poll(() => store.builds.submit(newBuild()).then(() => 'accepted', String)).toBe('accepted');
  for (const id of accepted) expect(await store.builds.get(id)).not.toBeNull();
  await store.close();
});

test('a server that a full disk has ended is back when there is room', async () => {
  await using disk = await mountSmallDisk(DISK_BYTES);
  const told = Promise.withResolvers<undefined>();
  const telling = pino(
    { level: 'error' },
    { write: (line) => line.includes('the disk of ') && told.resolve(undefined) },
  );
  const server = await startEmbeddedServer({ dataDirectory: disk.path, log: telling });
  const store = await openStore({ dataDirectory: disk.path, blobs: noBlobs, log });
  const { id } = await store.builds.submit(newBuild());
  const client = new pg.Client(server.address);
  client.on('error', () => undefined);
  await client.connect();
  await disk.fill();
  const up = new Promise<void>((resolve) => {
    server.subscribe(({ type }) => {
      if (type === 'up') resolve();
    });
  });
  // What cannot be written ahead ends the server.
  const filling = async (): Promise<void> => {
    for (;;) await client.query("select pg_logical_emit_message(false, 'filler', repeat('x', 1000000))");
  };
  await expect(filling()).rejects.toThrow();
  await told.promise;
  await disk.free();
  await up;
  await expect.poll(() => store.builds.get(id).then((build) => build?.id, String)).toBe(id);
  await store.close();
  await server.stop();
});
