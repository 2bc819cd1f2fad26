import { describe, expect, test } from 'vitest';
import { join, routerWith } from './support/peer.ts';
import type { Peer } from './support/peer.ts';
import { P, register, twoPeers } from './support/procedure.ts';

describe('a call', () => {
  test('is taken to the callee, and its result back, with arguments and keyword arguments as they were', () => {
    const { caller, callee } = twoPeers();
    const registration = register(callee);
    const args = [1, 'two', [3], { four: null }];
    const kwargs = { a: { b: [] }, __proto__: 1 };
    expect(caller.ask([48, 77, { unknown_option: 1 }, P, args, kwargs])).toEqual([]);
    expect(callee.take()).toEqual([68, 1, registration, {}, args, kwargs]);
    callee.say([70, 1, {}, [[]], { result: 1 }]);
    expect(caller.take()).toEqual([50, 77, {}, [[]], { result: 1 }]);
  });

  test('leaves out what was left out', () => {
    const { caller, callee } = twoPeers();
    const registration = register(callee);
    caller.say([48, 1, {}, P]);
    caller.say([48, 2, {}, P, []]);
    expect(callee.heard).toEqual([
      [68, 1, registration, {}],
      [68, 2, registration, {}, []],
    ]);
    callee.say([70, 1, {}]);
    callee.say([70, 2, {}, []]);
    expect(caller.heard).toEqual([
      [50, 1, {}],
      [50, 2, {}, []],
    ]);
  });

  test('fails with the error of the callee, its arguments and its keyword arguments', () => {
    const { caller, callee } = twoPeers();
    register(callee);
    caller.say([48, 5, {}, P]);
    callee.say([8, 68, 1, {}, 'io.quay.builder.builderror', ['x'], { base_error: 'no' }]);
    expect(caller.heard).toEqual([[8, 48, 5, {}, 'io.quay.builder.builderror', ['x'], { base_error: 'no' }]]);
  });

  test('fails with wamp.error.invalid_uri when the callee names no error', () => {
    const { caller, callee } = twoPeers();
    register(callee);
    caller.say([48, 5, {}, P]);
    callee.say([8, 68, 1, {}, 'not a uri', ['x']]);
    expect(caller.heard).toEqual([[8, 48, 5, {}, 'wamp.error.invalid_uri', ['x']]]);
  });

  test.each([
    ['test.nobody.offers.this', 'wamp.error.no_such_procedure'],
    ['', 'wamp.error.invalid_uri'],
    ['a..b', 'wamp.error.invalid_uri'],
    ['a b', 'wamp.error.invalid_uri'],
    ['a#b', 'wamp.error.invalid_uri'],
    ['x'.repeat(2000), 'wamp.error.invalid_uri'],
  ])('of %s fails with %s', (uri, error) => {
    const { caller } = twoPeers();
    expect(caller.ask([48, 1, {}, uri])[0]?.slice(0, 5)).toEqual([8, 48, 1, {}, error]);
    expect(caller.isClosed).toBe(false);
  });

  test('may be answered out of order, and by the session that called', () => {
    const peer = join(routerWith());
    register(peer);
    peer.say([48, 1, {}, P, ['first']]);
    peer.say([48, 2, {}, P, ['second']]);
    peer.heard.splice(0);
    peer.say([70, 2, {}, ['second']]);
    peer.say([70, 1, {}, ['first']]);
    expect(peer.heard).toEqual([
      [50, 2, {}, ['second']],
      [50, 1, {}, ['first']],
    ]);
  });

  test('has a request id of its own session: equal ones of two callers are not mixed up', () => {
    const { router, caller, callee } = twoPeers();
    const other = join(router);
    register(callee);
    caller.say([48, 1, {}, P, ['one']]);
    other.say([48, 1, {}, P, ['other']]);
    callee.say([70, 2, {}, ['for the other']]);
    callee.say([70, 1, {}, ['for the one']]);
    expect(caller.heard).toEqual([[50, 1, {}, ['for the one']]]);
    expect(other.heard).toEqual([[50, 1, {}, ['for the other']]]);
  });

  test('with the id of one that still waits is a violation', () => {
    const { caller, callee } = twoPeers();
    register(callee);
    caller.say([48, 1, {}, P]);
    expect(caller.ask([48, 1, {}, P])).toMatchObject([[3, {}, 'wamp.error.protocol_violation']]);
  });

  test('is only answered by the session that was invoked, and only once', () => {
    const { router, caller, callee } = twoPeers();
    const forger = join(router);
    register(callee);
    register(forger, 'test.other');
    caller.say([48, 1, {}, P]);
    forger.say([70, 1, {}, ['forged']]);
    forger.say([8, 68, 1, {}, 'test.forged']);
    expect(caller.heard).toEqual([]);
    callee.say([70, 1, {}, ['genuine']]);
    callee.say([70, 1, {}, ['again']]);
    callee.say([8, 68, 1, {}, 'test.again']);
    expect(caller.heard).toEqual([[50, 1, {}, ['genuine']]]);
    expect(forger.isClosed || callee.isClosed).toBe(false);
  });

  test.each([
    ['its connection breaks', (callee: Peer) => callee.vanish()],
    ['it leaves', (callee: Peer) => callee.say([6, {}, 'wamp.close.close_realm'])],
    ['it breaks the protocol', (callee: Peer) => callee.sayText('{')],
  ])('fails with wamp.error.canceled when the callee has gone: %s', (_how, leave) => {
    const { caller, callee } = twoPeers();
    register(callee);
    caller.say([48, 9, {}, P]);
    leave(callee);
    expect(caller.heard.splice(0)).toEqual([
      [8, 48, 9, {}, 'wamp.error.canceled', ['callee disconnected from in-flight request']],
    ]);
    expect(caller.ask([48, 10, {}, P])[0]?.[4]).toBe('wamp.error.no_such_procedure');
  });

  test('of a caller that has gone is answered into the void', () => {
    const { caller, callee } = twoPeers();
    register(callee);
    caller.say([48, 9, {}, P]);
    caller.vanish();
    callee.heard.splice(0);
    expect(callee.ask([70, 1, {}, []])).toEqual([]);
    expect(callee.isClosed).toBe(false);
  });

  test('tells who calls only when the caller asks for that', () => {
    const router = routerWith({
      authenticate: () => ({ type: 'accept', authid: 'joe', authrole: 'user' }),
    });
    const [caller, callee] = [join(router), join(router)];
    register(callee);
    caller.say([48, 1, {}, P]);
    caller.say([48, 2, { disclose_me: true }, P]);
    expect(callee.heard.map((message) => message[3])).toEqual([
      {},
      { caller: caller.id, caller_authid: 'joe', caller_authrole: 'user' },
    ]);
  });

  test('is told nothing more once its session is over', () => {
    const peer = join(routerWith());
    register(peer);
    peer.say([48, 1, {}, P]);
    peer.heard.splice(0);
    expect(peer.ask([6, {}, 'wamp.close.close_realm'])).toEqual([[6, {}, 'wamp.close.goodbye_and_out']]);
  });
});

describe('a registration', () => {
  test('cannot be taken by another, nor twice', () => {
    const { caller, callee } = twoPeers();
    register(callee);
    for (const peer of [caller, callee]) {
      expect(peer.ask([64, 3, {}, P])).toEqual([[8, 64, 3, {}, 'wamp.error.procedure_already_exists']]);
    }
  });

  test.each(['', 'a..b', 'wamp.my.own', 'wamp'])('of %s is refused', (uri) => {
    const { callee } = twoPeers();
    expect(callee.ask([64, 3, {}, uri])).toEqual([[8, 64, 3, {}, 'wamp.error.invalid_uri']]);
  });

  test('ends by UNREGISTER, and the procedure is free again', () => {
    const { caller, callee } = twoPeers();
    const registration = register(callee);
    expect(callee.ask([66, 4, registration])).toEqual([[67, 4]]);
    expect(callee.ask([66, 5, registration])).toEqual([[8, 66, 5, {}, 'wamp.error.no_such_registration']]);
    register(caller);
  });

  test("is only its own session's to end", () => {
    const { caller, callee } = twoPeers();
    const registration = register(callee);
    expect(caller.ask([66, 5, registration])).toEqual([[8, 66, 5, {}, 'wamp.error.no_such_registration']]);
  });

  test('by pattern is called by the best match, and told what was called', () => {
    const router = routerWith();
    const patterns = [
      ['a1.b2.c3.d4.e55', 'exact'],
      ['a1.b2.c3', 'prefix'],
      ['a1.b2.c3.d4', 'prefix'],
      ['a1.b2..d4.e5', 'wildcard'],
      ['a1.b2.c99..e5', 'wildcard'],
      ['a1.b2..d4.e5..g7', 'wildcard'],
      ['a1.b2..d4..f6.g7', 'wildcard'],
    ] as const;
    const callees = patterns.map(([uri, match]) => {
      const callee = join(router);
      register(callee, uri, { match });
      return callee;
    });
    const caller = join(router);
    const called = (uri: string) => {
      const [answer] = caller.ask([48, 1 + Math.floor(Math.random() * 1e9), {}, uri]);
      if (answer) return answer[4];
      const index = callees.findIndex((callee) => callee.heard.length > 0);
      const details = callees[index]?.take()?.[3];
      expect(details).toEqual(patterns[index]?.[1] === 'exact' ? {} : { procedure: uri });
      return index + 1;
    };
    // The examples of the specification, but for c33, which as text has the prefix c3.
    expect(called('a1.b2.c3.d4.e55')).toBe(1);
    expect(called('a1.b2.c3.d98.e74')).toBe(2);
    expect(called('a1.b2.c3.d4.e325')).toBe(3);
    expect(called('a1.b2.c55.d4.e5')).toBe(4);
    expect(called('a1.b2.c99.d4.e5')).toBe(5);
    expect(called('a1.b2.c88.d4.e5.f6.g7')).toBe(6);
    expect(called('a2.b2.c2.d2.e2')).toBe('wamp.error.no_such_procedure');
  });

  test.each([
    ['first', [0, 0, 0, 0]],
    ['last', [2, 2, 2, 2]],
    ['roundrobin', [0, 1, 2, 0]],
    ['random', [1, 1, 1, 1]],
  ] as const)('shared under the policy %s is called in that order', (invoke, order) => {
    const router = routerWith({}, { random: () => 0.5 });
    const callees = [join(router), join(router), join(router)];
    for (const callee of callees) register(callee, P, { invoke });
    const caller = join(router);
    order.forEach((index, call) => {
      caller.say([48, call + 1, {}, P]);
      expect(callees.map((callee) => callee.heard.splice(0).length)).toEqual(
        callees.map((_, each) => (each === index ? 1 : 0)),
      );
    });
    expect(caller.ask([64, 9, { invoke: 'single' }, P])[0]?.[4]).toBe('wamp.error.procedure_already_exists');
  });

  test("by pattern is not called for what is WAMP's own", () => {
    const { caller, callee } = twoPeers();
    register(callee, '', { match: 'prefix' });
    register(callee, '..', { match: 'wildcard' });
    const [answer] = caller.ask([48, 1, {}, 'wamp.session.count']);
    expect(answer?.slice(0, 5)).toEqual([8, 48, 1, {}, 'wamp.error.no_such_procedure']);
    expect(callee.heard).toEqual([]);
  });

  test('shared goes on with those who stay', () => {
    const router = routerWith();
    const callees = [join(router), join(router)] as const;
    for (const callee of callees) register(callee, P, { invoke: 'roundrobin' });
    callees[0].vanish();
    const caller = join(router);
    caller.say([48, 1, {}, P]);
    caller.say([48, 2, {}, P]);
    expect(callees[1].heard).toHaveLength(2);
  });
});

describe('progressive results', () => {
  test('reach a caller that asked for them', () => {
    const { caller, callee } = twoPeers();
    register(callee);
    caller.say([48, 1, { receive_progress: true }, P]);
    expect(callee.take()?.[3]).toEqual({ receive_progress: true });
    callee.say([70, 1, { progress: true }, [1]]);
    callee.say([70, 1, { progress: true }]);
    callee.say([70, 1, {}, [2]]);
    callee.say([70, 1, { progress: true }, ['late']]);
    expect(caller.heard).toEqual([
      [50, 1, { progress: true }, [1]],
      [50, 1, { progress: true }],
      [50, 1, {}, [2]],
    ]);
  });

  test('do not reach one that did not', () => {
    const { caller, callee } = twoPeers();
    register(callee);
    caller.say([48, 1, {}, P]);
    callee.say([70, 1, { progress: true }, [1]]);
    callee.say([70, 1, {}, [2]]);
    expect(caller.heard).toEqual([[50, 1, {}, [2]]]);
  });
});
