import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ticketPolicy } from '../../src/wamp/tickets.ts';
import { ALL_ROLES, connect, join, routerWith } from './support/peer.ts';
import type { Peer } from './support/peer.ts';
import { openClient, joinClient, isAlive, startRouter } from './support/server.ts';

const uri = fc.oneof(
  fc.constantFrom('a.b', 'a.c', 'a', 'a..b', '', 'wamp.x', 'x y'),
  fc.string({ maxLength: 10 }),
);
const id = fc.oneof(
  fc.integer({ min: 1, max: 5 }),
  fc.constantFrom(0, -1, 1.5, 2 ** 53, 2 ** 60),
  fc.string(),
);
const dict = fc.oneof(
  fc.constant({}),
  fc.record(
    {
      match: fc.constantFrom('exact', 'prefix', 'wildcard', 'other', 1),
      invoke: fc.constantFrom('single', 'first', 'last', 'roundrobin', 'random', null),
      acknowledge: fc.boolean(),
      exclude_me: fc.boolean(),
      exclude: fc.array(id, { maxLength: 3 }),
      receive_progress: fc.boolean(),
      progress: fc.boolean(),
      disclose_me: fc.boolean(),
      mode: fc.constantFrom('skip', 'kill', 'killnowait'),
      roles: fc.dictionary(fc.constantFrom('caller', 'callee', 'x'), fc.anything(), { maxKeys: 2 }),
    },
    { requiredKeys: [] },
  ),
  fc.dictionary(fc.string(), fc.jsonValue(), { maxKeys: 3 }),
);
const payload = fc.oneof(
  fc.constant([]),
  fc.tuple(fc.array(fc.jsonValue(), { maxLength: 3 })),
  fc.tuple(
    fc.array(fc.jsonValue(), { maxLength: 3 }),
    fc.dictionary(fc.string(), fc.jsonValue(), { maxKeys: 3 }),
  ),
);
const withPayload = (...head: fc.Arbitrary<unknown>[]) =>
  fc.tuple(fc.tuple(...head), payload).map(([start, rest]) => [...start, ...rest]);

/** Messages that are mostly right, so that they come further than the first check. */
const likely = fc.oneof(
  fc.tuple(
    fc.constant(1),
    fc.constantFrom('realm1', 'realm2', 'nowhere'),
    fc.oneof(fc.constant(ALL_ROLES), dict),
  ),
  fc.tuple(fc.constant(5), fc.constantFrom('secret', 'wrong', ''), dict),
  fc.tuple(fc.constant(6), dict, uri),
  fc.tuple(fc.constantFrom(32, 64), id, dict, uri),
  fc.tuple(fc.constantFrom(34, 66), id, id),
  withPayload(fc.constantFrom(16, 48), id, dict, uri),
  fc.tuple(fc.constant(49), id, dict),
  withPayload(fc.constant(70), id, dict),
  withPayload(fc.constant(8), fc.constantFrom(68, 48), id, dict, uri),
  fc.tuple(fc.constantFrom(2, 3, 4, 5, 17, 33, 35, 36, 50, 65, 67, 68, 69), id, dict, uri),
);
const text = fc.oneof(
  { weight: 8, arbitrary: likely.map((message) => JSON.stringify(message)) },
  { weight: 1, arbitrary: fc.jsonValue().map((value) => JSON.stringify(value)) },
  { weight: 1, arbitrary: fc.string() },
);

/** Whether two peers that do no wrong still reach each other. */
function reachEachOther(one: Peer, other: Peer): void {
  one.heard.splice(0);
  other.heard.splice(0);
  one.say([48, 1000, {}, 'test.untouched', ['ping']]);
  const invocation = other.heard.find((message) => message[0] === 68 && message[4] !== undefined);
  other.say([70, invocation?.[1], {}, ['pong']]);
  expect(one.heard).toEqual([[50, 1000, {}, ['pong']]]);
}

test('whatever two peers say in turns, the router does not throw, and other sessions go on', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), text), { maxLength: 40 }), (sayings) => {
      const router = routerWith();
      const good = [join(router), join(router)] as const;
      good[1].ask([64, 1, {}, 'test.untouched']);
      const bad = [connect(router), connect(router)] as const;
      for (const peer of bad) peer.say([1, 'realm1', ALL_ROLES]);
      for (const [first, saying] of sayings) bad[first ? 0 : 1].sayText(saying);
      reachEachOther(good[0], good[1]);
      for (const peer of bad) {
        peer.vanish();
        // Nothing but lists comes out, and nothing after an ABORT.
        const aborts = peer.heard.filter((message) => message[0] === 3);
        expect(aborts.length).toBeLessThanOrEqual(1);
        if (aborts.length === 1) expect(peer.heard.at(-1)).toBe(aborts[0]);
      }
      expect(router.sessionCount).toBe(2);
      for (const { local, sessions } of router.realms.values()) {
        for (const member of [local, ...sessions.values()]) {
          expect(member).toMatchObject({ calls: { size: 0 }, invocations: { size: 0 } });
        }
      }
    }),
    { numRuns: 500 },
  );
});

test('whatever a peer says that is challenged, its ticket alone lets it in, and at once', () => {
  const tickets = ticketPolicy(new Map([['joe', 'secret']]));
  fc.assert(
    fc.property(fc.array(text, { minLength: 1, maxLength: 10 }), (sayings) => {
      const router = routerWith(tickets);
      const peer = connect(router);
      const challenge = peer.ask([1, 'realm1', { ...ALL_ROLES, authid: 'joe', authmethods: ['ticket'] }]);
      expect(challenge).toEqual([[4, 'ticket', {}]]);
      for (const saying of sayings) peer.sayText(saying);
      const first = isJson(sayings[0]) ? (JSON.parse(sayings[0]) as unknown) : null;
      const isRight = Array.isArray(first) && first[0] === 5 && first[1] === 'secret';
      expect(peer.heard.some(([code]) => code === 2)).toBe(isRight);
      peer.vanish();
      expect(router.sessionCount).toBe(0);
    }),
    { numRuns: 500 },
  );
});

function isJson(saying: string | undefined): saying is string {
  try {
    JSON.parse(saying ?? '');
    return true;
  } catch {
    return false;
  }
}

test('whatever bytes a WebSocket sends, the router does not end, and other sessions go on', async () => {
  await using router = await startRouter();
  const other = await joinClient(router.url);
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 200 }), async (bytes) => {
      const client = await openClient(router.url);
      client.socket.on('error', () => undefined);
      // Below the WebSocket: frames that nobody made.
      const { _socket: socket } = client.socket as unknown as { _socket: NodeJS.WritableStream };
      socket.end(bytes);
      await client.closed;
    }),
    { numRuns: 100 },
  );
  expect(await isAlive(other)).toBe(true);
});
