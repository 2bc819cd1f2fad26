import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { WebSocketServer } from 'ws';
import { systemClock } from '../../../src/worker/clock.ts';
import { joinRealm } from '../../../src/worker/link/session.ts';
import { openTransport } from '../../../src/worker/link/transport.ts';

/** A manager that sends whatever: the worker's end of a connection answers or closes, and nothing escapes it. */

let server: WebSocketServer;
/** What the next connection is sent, after its first frame. */
let frames: readonly (string | Uint8Array)[] = [];
const escaped: unknown[] = [];
const onEscape = (error: unknown): void => void escaped.push(error);

beforeAll(async () => {
  server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false });
  server.on('connection', (socket) => {
    socket.on('error', () => undefined);
    socket.once('message', () => {
      for (const frame of frames) socket.send(frame);
      socket.close();
    });
  });
  await once(server, 'listening');
  process.on('unhandledRejection', onEscape).on('uncaughtException', onEscape);
});
afterAll(() => {
  process.off('unhandledRejection', onEscape).off('uncaughtException', onEscape);
  server.close();
});

const WELCOME = JSON.stringify([2, 1, { roles: { broker: {}, dealer: {} }, authextra: {} }]);
const id = fc.oneof(fc.constantFrom<unknown>(1, 2, 0, -1, 1.5, null, '1', 2 ** 60), fc.jsonValue());
const dictionary = fc.oneof(
  fc.constantFrom<unknown>(
    {},
    { roles: {} },
    { roles: null },
    { authextra: { extensions: 1 } },
    { __proto__: null },
    null,
  ),
  fc.jsonValue(),
);
const message = fc
  .tuple(
    fc.constantFrom<unknown>(2, 3, 4, 5, 6, 8, 17, 33, 35, 36, 50, 65, 67, 68, 69, 99, '2', null),
    fc.array(fc.oneof(id, dictionary, fc.constantFrom('wamp.error.no_such_realm', 'a.b', '')), {
      maxLength: 6,
    }),
  )
  .map(([kind, rest]) => JSON.stringify([kind, ...rest]));
const frame = fc.oneof(
  { weight: 5, arbitrary: message },
  { weight: 1, arbitrary: fc.constant(WELCOME) },
  { weight: 1, arbitrary: fc.json() },
  { weight: 1, arbitrary: fc.string({ unit: 'binary' }) },
  { weight: 1, arbitrary: fc.uint8Array() },
);

test('any frames are answered, or end the connection', async () => {
  const { port } = server.address() as AddressInfo;
  const endpoint = new URL(`ws://127.0.0.1:${port}`);
  await fc.assert(
    fc.asyncProperty(fc.boolean(), fc.array(frame, { maxLength: 8 }), async (welcomed, sent) => {
      frames = [...(welcomed ? [WELCOME] : []), ...sent];
      const transport = await openTransport(endpoint, {}, systemClock, new AbortController().signal);
      await joinRealm(transport, 'realm', null, systemClock).then(
        () => undefined,
        (error: unknown) => expect(error).toBeInstanceOf(Error),
      );
      expect(await transport.closed).not.toBe('');
      expect(escaped).toEqual([]);
    }),
    { numRuns: 300 },
  );
});
