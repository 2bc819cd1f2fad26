import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createRouter, WampError } from '../../src/wamp/index.ts';
import type { Authentication, RealmPolicy, Session } from '../../src/wamp/index.ts';
import { ALL_ROLES, connect, join, routerWith } from './support/peer.ts';

const HELLO = [1, 'realm1', ALL_ROLES];
const GOODBYE = [6, {}, 'wamp.error.close_realm'];

describe('joining', () => {
  test('is answered with WELCOME, a session id, and the features that the router has', () => {
    const [welcome] = connect(routerWith()).ask(HELLO);
    expect(welcome).toEqual([2, expect.any(Number), { roles: expect.any(Object) as object }]);
    expect(welcome?.[2]).toMatchObject({
      roles: {
        broker: { features: { publisher_exclusion: true, pattern_based_subscription: true } },
        dealer: { features: { progressive_call_results: true, call_canceling: true, call_timeout: true } },
      },
    });
  });

  test('gives every session another id', () => {
    const router = routerWith();
    const ids = new Set(Array.from({ length: 100 }, () => join(router).id));
    expect(ids.size).toBe(100);
  });

  test('tolerates roles and features that nobody knows', () => {
    const peer = connect(routerWith());
    const roles = { callee: { features: { time_travel: true, hats: 7 } }, jester: 'yes' };
    expect(peer.ask([1, 'realm1', { roles, nonsense: [] }])[0]?.[0]).toBe(2);
  });

  test.each([
    ['no roles', {}],
    ['empty roles', { roles: {} }],
    ['only unknown roles', { roles: { jester: {} } }],
    ['roles that are a list', { roles: ['caller'] }],
    ['a role that is no dictionary', { roles: { caller: true } }],
    ['features that are no dictionary', { roles: { caller: { features: [] } } }],
    ['an authid that is no string', { ...ALL_ROLES, authid: 7 }],
    ['authmethods that are no list', { ...ALL_ROLES, authmethods: 'ticket' }],
    ['authextra that is no dictionary', { ...ALL_ROLES, authextra: [] }],
  ])('with %s is a violation', (_what, details) => {
    expect(connect(routerWith()).ask([1, 'realm1', details])).toMatchObject([
      [3, {}, 'wamp.error.protocol_violation'],
    ]);
  });

  test('a realm that was never made is refused, and does not come to be by that', () => {
    const router = routerWith();
    for (let attempt = 0; attempt < 2; attempt++) {
      const peer = connect(router);
      expect(peer.ask([1, 'nowhere', ALL_ROLES])).toMatchObject([[3, {}, 'wamp.error.no_such_realm']]);
      expect(peer.isClosed).toBe(true);
    }
    expect([...router.realms.keys()]).toEqual(['realm1', 'realm2']);
  });

  test.each(['', 'a..b', 'with space', 'hash#tag', '.', 'x'.repeat(2000)])(
    'a realm whose name is no URI (%s) is refused',
    (name) => {
      expect(connect(routerWith()).ask([1, name, ALL_ROLES])).toMatchObject([
        [3, {}, 'wamp.error.invalid_uri'],
      ]);
    },
  );

  test('twice is a violation', () => {
    const peer = join(routerWith());
    expect(peer.ask(HELLO)).toMatchObject([[3, {}, 'wamp.error.protocol_violation']]);
    expect(peer.isClosed).toBe(true);
  });

  test('with more to say than anyone has before a session is open is a violation', () => {
    const peer = connect(routerWith());
    const details = { ...ALL_ROLES, authextra: { long: 'x'.repeat(100_000) } };
    expect(peer.ask([1, 'realm1', details])).toMatchObject([[3, {}, 'wamp.error.protocol_violation']]);
  });
});

describe('leaving', () => {
  test('is answered with GOODBYE, and another session may follow on the same connection', () => {
    const router = routerWith();
    const peer = join(router);
    expect(peer.ask(GOODBYE)).toEqual([[6, {}, 'wamp.close.goodbye_and_out']]);
    expect(router.sessionCount).toBe(0);
    expect(peer.ask([1, 'realm2', ALL_ROLES])[0]?.[0]).toBe(2);
    expect(router.realms.get('realm2')?.sessions.size).toBe(1);
  });

  test('and joining again without waiting is answered in that order, even if the realm must be looked up', async () => {
    const policy = { joined: vi.fn() };
    const router = createRouter({
      openRealm: () => Promise.resolve({ policy, data: undefined }),
    });
    router.addRealm('registration', {}, undefined);
    const peer = join(router, 'registration');
    peer.say(GOODBYE);
    peer.say([1, 'b5d1196b-81cf-428d-bc28-0874b906b12f', ALL_ROLES]);
    await expect.poll(() => policy.joined).toHaveBeenCalledOnce();
    expect(peer.heard.map(([code]) => code)).toEqual([6, 2]);
  });

  test('leaves nothing of the session behind', () => {
    const router = routerWith();
    const leaver = join(router);
    const other = join(router);
    leaver.ask([64, 1, {}, 'test.procedure']);
    leaver.ask([32, 2, {}, 'test.topic']);
    leaver.ask(GOODBYE);
    leaver.ask(HELLO);
    expect(other.ask([48, 1, {}, 'test.procedure'])[0]?.[4]).toBe('wamp.error.no_such_procedure');
    other.ask([16, 2, {}, 'test.topic']);
    expect(leaver.heard).toEqual([]);
  });

  test('by ABORT is not answered', () => {
    const router = routerWith();
    const peer = join(router);
    expect(peer.ask([3, {}, 'test.had.enough'])).toEqual([]);
    expect(peer.isClosed).toBe(true);
    expect(router.sessionCount).toBe(0);
  });
});

describe('time', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test('runs out for a peer that does not say HELLO', () => {
    const peer = connect(routerWith());
    vi.advanceTimersByTime(10_000);
    expect(peer.heard).toMatchObject([[3, {}, 'wamp.error.timeout']]);
    expect(peer.isClosed).toBe(true);
  });

  test('runs out for a peer that has left and does not join again', () => {
    const peer = join(routerWith());
    vi.advanceTimersByTime(1_000_000);
    expect(peer.isClosed).toBe(false);
    peer.ask(GOODBYE);
    vi.advanceTimersByTime(10_000);
    expect(peer.isClosed).toBe(true);
  });

  test('runs out for a peer that does not answer its challenge, counted from the beginning', () => {
    const router = routerWith({
      authenticate: (): Authentication => ({
        type: 'challenge',
        method: 'ticket',
        verify: () => ({ type: 'accept' }),
      }),
    });
    const peer = connect(router);
    vi.advanceTimersByTime(6_000);
    expect(peer.ask(HELLO)).toEqual([[4, 'ticket', {}]]);
    vi.advanceTimersByTime(4_000);
    expect(peer.isClosed).toBe(true);
  });

  test('runs out for a peer that does not answer GOODBYE', () => {
    const router = routerWith();
    const peer = join(router);
    router.realms.get('realm1')?.close();
    expect(peer.heard).toEqual([[6, {}, 'wamp.close.close_realm']]);
    vi.advanceTimersByTime(2_000);
    expect(peer.isClosed).toBe(true);
  });
});

describe('the owner', () => {
  test('ends a session with GOODBYE, ignores what still comes, and lets it join again', () => {
    const router = routerWith();
    const peer = join(router);
    router.realms.get('realm1')?.sessions.get(peer.id)?.close('test.enough', 'go home');
    expect(peer.take()).toEqual([6, { message: 'go home' }, 'test.enough']);
    expect(peer.ask([48, 1, {}, 'a.b'])).toEqual([]);
    expect(peer.ask([6, {}, 'wamp.close.goodbye_and_out'])).toEqual([]);
    expect(peer.ask(HELLO)[0]?.[0]).toBe(2);
  });

  test('throws a session out with ABORT', () => {
    const router = routerWith();
    const peer = join(router);
    router.realms.get('realm1')?.sessions.get(peer.id)?.abort('test.displaced', 'another one has come');
    expect(peer.heard).toEqual([[3, { message: 'another one has come' }, 'test.displaced']]);
    expect(peer.isClosed).toBe(true);
    expect(router.sessionCount).toBe(0);
  });

  test('cannot end by an old session what follows on the same connection', () => {
    const router = routerWith();
    const peer = join(router);
    const session = router.realms.get('realm1')?.sessions.get(peer.id);
    peer.ask(GOODBYE);
    peer.ask(HELLO);
    session?.abort('test.late', 'too late');
    session?.close();
    expect(peer.heard).toEqual([]);
    expect(router.sessionCount).toBe(1);
  });

  test('is told of each session that joins and leaves, once', () => {
    const told: string[] = [];
    const router = routerWith({
      joined: (session: Session<undefined>) => told.push(`joined ${session.realm.name}`),
      left: (session: Session<undefined>) => told.push(`left ${session.realm.name}`),
    });
    const one = join(router);
    const two = join(router, 'realm2');
    one.ask(GOODBYE);
    one.vanish();
    two.vanish();
    expect(told).toEqual(['joined realm1', 'joined realm2', 'left realm1', 'left realm2']);
  });

  test('may fail in its hooks without harm to the session', () => {
    const fail = () => {
      throw new Error('out of order');
    };
    const router = routerWith({ joined: fail, left: fail });
    join(router).vanish();
    expect(join(router).ask([32, 1, {}, 'a.b'])[0]?.[0]).toBe(33);
  });
});

describe('realms', () => {
  test('are apart: nothing registered, called or published in one is seen in another', () => {
    const router = routerWith();
    const one = join(router, 'realm1');
    const two = join(router, 'realm2');
    one.ask([64, 1, {}, 'test.procedure']);
    one.ask([32, 2, {}, 'test.topic']);
    expect(two.ask([48, 1, {}, 'test.procedure'])[0]?.[4]).toBe('wamp.error.no_such_procedure');
    two.ask([16, 2, {}, 'test.topic']);
    expect(one.heard).toEqual([]);
    expect(two.ask([64, 3, {}, 'test.procedure'])[0]?.[0]).toBe(65);
  });

  test('are opened once, however many ask for one at once', async () => {
    const openRealm = vi.fn(() => Promise.resolve({ policy: {}, data: undefined }));
    const router = createRouter({ openRealm });
    const peers = [connect(router), connect(router), connect(router)];
    for (const peer of peers) peer.say(HELLO);
    await expect.poll(() => router.sessionCount).toBe(3);
    expect(openRealm).toHaveBeenCalledExactlyOnceWith('realm1', expect.objectContaining({ path: '/' }));
    expect(router.realms.get('realm1')?.sessions.size).toBe(3);
  });

  test('that cannot be looked up now are refused as that', async () => {
    const router = createRouter({ openRealm: () => Promise.reject(new Error('no database')) });
    const peer = connect(router);
    peer.say(HELLO);
    await expect.poll(() => peer.isClosed).toBe(true);
    expect(peer.heard).toMatchObject([[3, {}, 'wamp.error.authorization_failed']]);
  });

  test('are refused with the words of whoever opens them', async () => {
    const refusal = new WampError('test.error.not_now', ['come back tomorrow']);
    const router = createRouter({ openRealm: () => Promise.reject(refusal) });
    const peer = connect(router);
    peer.say(HELLO);
    await expect.poll(() => peer.isClosed).toBe(true);
    expect(peer.heard).toEqual([[3, { message: 'come back tomorrow' }, 'test.error.not_now']]);
  });

  test('are forgotten when empty if the owner wishes so, but not while someone is on the way in', async () => {
    const { promise, resolve } = Promise.withResolvers<Authentication>();
    const verdicts: (Authentication | Promise<Authentication>)[] = [{ type: 'accept' }, promise];
    const policy: RealmPolicy<undefined> = {
      authenticate: () => verdicts.shift() ?? { type: 'accept' },
      forgetWhenEmpty: () => true,
    };
    const router = createRouter({
      openRealm: () => Promise.resolve({ policy, data: undefined }),
    });
    const first = connect(router);
    first.say(HELLO);
    await expect.poll(() => router.sessionCount).toBe(1);
    const realm = router.realms.get('realm1');
    const second = connect(router);
    second.say(HELLO);
    first.vanish();
    expect(router.realms.get('realm1')).toBe(realm);
    resolve({ type: 'accept' });
    await expect.poll(() => router.sessionCount).toBe(1);
    expect(realm?.sessions.size).toBe(1);
    second.vanish();
    expect(router.realms.size).toBe(0);
  });

  test('are forgotten, too, when all who asked for one have gone before it was found', async () => {
    const definition = { policy: { forgetWhenEmpty: () => true }, data: undefined };
    const { promise, resolve } = Promise.withResolvers<typeof definition>();
    const router = createRouter({ openRealm: () => promise });
    const peer = connect(router);
    peer.say(HELLO);
    peer.vanish();
    resolve(definition);
    await new Promise(setImmediate);
    expect(router.realms.size).toBe(0);
  });

  test('that are closed say GOODBYE to all, and let nobody in who was on the way', async () => {
    const { promise, resolve } = Promise.withResolvers<Authentication>();
    const verdicts: (Authentication | Promise<Authentication>)[] = [{ type: 'accept' }, promise];
    const router = routerWith({ authenticate: () => verdicts.shift() ?? { type: 'accept' } });
    const inside = join(router);
    const onTheWay = connect(router);
    onTheWay.say(HELLO);
    router.realms.get('realm1')?.close('wamp.close.close_realm', 'the realm has expired');
    expect(inside.heard).toEqual([[6, { message: 'the realm has expired' }, 'wamp.close.close_realm']]);
    resolve({ type: 'accept' });
    await expect.poll(() => onTheWay.isClosed).toBe(true);
    expect(onTheWay.heard).toMatchObject([[3, {}, 'wamp.error.no_such_realm']]);
  });
});
