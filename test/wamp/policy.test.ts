import { describe, expect, test, vi } from 'vitest';
import { errorUris } from '../../src/wamp/index.ts';
import type { Hello, RealmPolicy } from '../../src/wamp/index.ts';
import { ticketPolicy } from '../../src/wamp/tickets.ts';
import { ALL_ROLES, connect, join, routerWith, ROLES } from './support/peer.ts';

describe('authentication', () => {
  test('sees who wants in, and decides what WELCOME tells', () => {
    const authenticate = vi.fn((_hello: Hello) => ({
      type: 'accept' as const,
      authid: 'joe',
      authrole: 'worker',
      authextra: { extensions: ['log-batch'] },
    }));
    const router = routerWith({ authenticate });
    const details = {
      roles: ROLES,
      agent: 'x-1',
      authid: 'me',
      authmethods: ['anonymous'],
      authextra: { a: 1 },
    };
    const [welcome] = connect(router).ask([1, 'realm1', details]);
    expect(welcome?.[2]).toEqual({
      roles: expect.any(Object) as object,
      authid: 'joe',
      authrole: 'worker',
      authextra: { extensions: ['log-batch'] },
    });
    expect(authenticate.mock.calls[0]?.[0]).toEqual({
      realm: 'realm1',
      authid: 'me',
      authmethods: ['anonymous'],
      authextra: { a: 1 },
      agent: 'x-1',
      details,
      transport: { address: '192.0.2.1:1', path: '/' },
    });
  });

  test('may refuse in its own words', () => {
    const router = routerWith({
      authenticate: () => ({ type: 'refuse', uri: 'test.go.away', message: 'not today' }),
    });
    expect(connect(router).ask([1, 'realm1', ALL_ROLES])).toEqual([
      [3, { message: 'not today' }, 'test.go.away'],
    ]);
  });

  test('that takes time lets nothing else be said meanwhile', async () => {
    const { promise, resolve } = Promise.withResolvers<{ type: 'accept' }>();
    const router = routerWith({ authenticate: () => promise });
    const patient = connect(router);
    const hasty = connect(router);
    patient.say([1, 'realm1', ALL_ROLES]);
    hasty.say([1, 'realm1', ALL_ROLES]);
    expect(hasty.ask([48, 1, {}, 'a.b'])).toMatchObject([[3, {}, 'wamp.error.protocol_violation']]);
    resolve({ type: 'accept' });
    await expect.poll(() => patient.take()?.[0]).toBe(2);
    expect(router.sessionCount).toBe(1);
  });

  test.each([
    [
      'at once',
      () => {
        throw new Error('broken');
      },
    ],
    ['later', () => Promise.reject(new Error('broken'))],
  ])('that fails %s lets nobody in', async (_when, authenticate) => {
    const peer = connect(routerWith({ authenticate }));
    peer.say([1, 'realm1', ALL_ROLES]);
    await expect.poll(() => peer.isClosed).toBe(true);
    expect(peer.heard).toMatchObject([[3, {}, 'wamp.error.authorization_failed']]);
  });
});

describe('tickets', () => {
  const router = routerWith(ticketPolicy(new Map([['joe', 'secret:with:colons']])));
  const hello = (details: object) => connect(router).ask([1, 'realm1', { roles: ROLES, ...details }]);

  test('let in who shows the right one', () => {
    const peer = connect(router);
    const details = { roles: ROLES, authid: 'joe', authmethods: ['cryptosign', 'ticket'] };
    expect(peer.ask([1, 'realm1', details])).toEqual([[4, 'ticket', {}]]);
    expect(peer.ask([5, 'secret:with:colons', {}])[0]?.[2]).toMatchObject({
      authid: 'joe',
      authrole: 'user',
      authmethod: 'ticket',
      authprovider: 'static',
    });
    expect(peer.ask([5, 'secret:with:colons', {}])).toMatchObject([[3, {}, 'wamp.error.protocol_violation']]);
  });

  test.each([
    ['joe', 'wrong'],
    ['joe', ''],
    ['nobody', 'secret:with:colons'],
    ['nobody', ''],
  ])('refuse %s with the ticket "%s", in the same words', (authid, ticket) => {
    const peer = connect(router);
    peer.ask([1, 'realm1', { roles: ROLES, authid, authmethods: ['ticket'] }]);
    expect(peer.ask([5, ticket, {}])).toEqual([
      [3, { message: 'the authid or the ticket is wrong' }, 'wamp.error.authentication_denied'],
    ]);
  });

  test('are required', () => {
    expect(hello({})[0]?.[2]).toBe('wamp.error.authentication_required');
    expect(hello({ authid: 'joe' })[0]?.[2]).toBe('wamp.error.authentication_required');
    expect(hello({ authid: 'joe', authmethods: ['anonymous'] })[0]?.[2]).toBe(
      'wamp.error.authentication_required',
    );
    expect(hello({ authid: 'joe', authmethods: ['wampcra'] })[0]?.[2]).toBe(
      'wamp.error.no_matching_auth_method',
    );
  });

  test('are not heard before a challenge, nor anything else instead of an answer to it', () => {
    expect(connect(router).ask([5, 'secret:with:colons', {}])[0]?.[2]).toBe('wamp.error.protocol_violation');
    const peer = connect(router);
    peer.ask([1, 'realm1', { roles: ROLES, authid: 'joe', authmethods: ['ticket'] }]);
    expect(peer.ask([48, 1, {}, 'a.b'])[0]?.[2]).toBe('wamp.error.protocol_violation');
  });
});

describe('authorization', () => {
  const policy: RealmPolicy<undefined> = {
    authorize(_session, action, uri) {
      if (uri === 'test.broken') throw new Error('broken');
      if (uri === 'test.taken' && action === 'register') return errorUris.procedureAlreadyExists;
      return uri !== 'test.forbidden';
    },
  };

  test.each([
    ['test.forbidden', 'wamp.error.not_authorized'],
    ['test.broken', 'wamp.error.authorization_failed'],
  ])('refuses %s with %s, whatever is asked', (uri, error) => {
    const peer = join(routerWith(policy));
    for (const [code, options] of [
      [48, {}],
      [64, {}],
      [32, {}],
      [16, { acknowledge: true }],
    ] as const) {
      expect(peer.ask([code, 1, options, uri])).toEqual([[8, code, 1, {}, error]]);
    }
    expect(peer.ask([16, 1, {}, uri])).toEqual([]);
  });

  test('may refuse with an error of its own, and allows the rest', () => {
    const peer = join(routerWith(policy));
    expect(peer.ask([64, 1, {}, 'test.taken'])).toEqual([
      [8, 64, 1, {}, 'wamp.error.procedure_already_exists'],
    ]);
    expect(peer.ask([64, 1, {}, 'test.free'])[0]?.[0]).toBe(65);
  });
});
