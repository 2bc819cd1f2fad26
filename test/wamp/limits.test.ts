import { describe, expect, test } from 'vitest';
import type { Drop, Limits } from '../../src/wamp/index.ts';
import { ALL_ROLES, connect, join, routerWith } from './support/peer.ts';

function routerWithLimits(limits: Partial<Limits>) {
  const drops: Drop[] = [];
  return { drops, router: routerWith({}, { limits, onDrop: (drop) => drops.push(drop) }) };
}

describe('a limit', () => {
  test.each([{ sessions: 2 }, { sessionsPerRealm: 2 }])(
    'of %j refuses a further session, until another one has left',
    (limits) => {
      const { router, drops } = routerWithLimits(limits);
      const first = join(router);
      join(router);
      expect(connect(router).ask([1, 'realm1', ALL_ROLES])).toMatchObject([
        [3, {}, 'wamp.error.limit_exceeded'],
      ]);
      first.vanish();
      join(router);
      expect(drops).toEqual(['hello']);
    },
  );

  test('of calls that wait refuses a further one, until another one was answered', () => {
    const { router, drops } = routerWithLimits({ pendingCalls: 2 });
    const [caller, callee] = [join(router), join(router)];
    callee.ask([64, 1, {}, 'a.b']);
    expect(caller.ask([48, 1, {}, 'a.b'])).toEqual([]);
    expect(caller.ask([48, 2, {}, 'a.b'])).toEqual([]);
    expect(caller.ask([48, 3, {}, 'a.b'])[0]?.slice(0, 5)).toEqual([
      8,
      48,
      3,
      {},
      'wamp.error.limit_exceeded',
    ]);
    callee.say([70, 1, {}]);
    caller.take();
    expect(caller.ask([48, 4, {}, 'a.b'])).toEqual([]);
    expect(drops).toEqual(['request']);
  });

  test('of registrations and subscriptions refuses a further one', () => {
    const { router, drops } = routerWithLimits({ registrations: 1, subscriptions: 1 });
    const peer = join(router);
    for (const code of [64, 32]) {
      expect(peer.ask([code, 1, {}, 'a.one'])[0]?.[0]).toBe(code + 1);
      expect(peer.ask([code, 2, {}, 'a.two'])[0]?.slice(0, 5)).toEqual([
        8,
        code,
        2,
        {},
        'wamp.error.limit_exceeded',
      ]);
    }
    expect(drops).toEqual(['request', 'request']);
  });

  test('of nesting, of members and of length before a session is open are violations, and counted', () => {
    const { router, drops } = routerWithLimits({ nesting: 4, members: 50, openingSize: 1000 });
    expect(join(router).ask([48, 1, {}, 'a.b', [[[[]]]]])[0]?.[2]).toBe('wamp.error.protocol_violation');
    expect(join(router).ask([48, 1, {}, 'a.b', Array(50)])[0]?.[2]).toBe('wamp.error.protocol_violation');
    const hello = [1, 'realm1', { ...ALL_ROLES, agent: 'x'.repeat(1000) }];
    expect(connect(router).ask(hello)[0]?.[2]).toBe('wamp.error.protocol_violation');
    expect(drops).toEqual(['violation', 'violation', 'violation']);
  });
});
