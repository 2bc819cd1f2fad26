import { describe, expect, test, vi } from 'vitest';
import { createRouter, WampError } from '../../src/wamp/index.ts';
import type { Invocation, Logger, ProcedureHandler, Realm } from '../../src/wamp/index.ts';
import { join } from './support/peer.ts';

const quiet = { debug: vi.fn(), info: vi.fn(), warn: vi.fn() } satisfies Logger;

function realmWith(procedures: Record<string, ProcedureHandler<undefined>> = {}, onBeat = vi.fn()) {
  const router = createRouter({ logger: quiet });
  const realm = router.addRealm(
    'realm1',
    {
      procedures: new Map(Object.entries(procedures)),
      topics: new Map([['test.beat', onBeat]]),
    },
    undefined,
  );
  return { router, realm, peer: join(router) };
}

describe("the owner's procedures", () => {
  test('answer calls, at once or later, and know who calls', async () => {
    const callers: unknown[] = [];
    const { peer, realm } = realmWith({
      'test.ping': () => ({ args: ['pong'] }),
      'test.later': async (args, kwargs, { caller }) => {
        await Promise.resolve();
        callers.push(caller);
        return { args, kwargs };
      },
      'test.nothing': () => undefined,
      'test.keywords': () => ({ kwargs: { only: 1 } }),
    });
    expect(peer.ask([48, 1, {}, 'test.ping'])).toEqual([[50, 1, {}, ['pong']]]);
    expect(peer.ask([48, 2, {}, 'test.nothing'])).toEqual([[50, 2, {}]]);
    expect(peer.ask([48, 4, {}, 'test.keywords'])).toEqual([[50, 4, {}, [], { only: 1 }]]);
    peer.say([48, 3, {}, 'test.later', [1], { a: 2 }]);
    await expect.poll(() => peer.heard).toEqual([[50, 3, {}, [1], { a: 2 }]]);
    expect(callers).toEqual([realm.sessions.get(peer.id)]);
  });

  test('cannot be registered by anybody else', () => {
    const { peer, realm } = realmWith({ 'test.ping': () => undefined });
    realm.local.register('test.other', () => undefined);
    for (const uri of ['test.ping', 'test.other']) {
      expect(peer.ask([64, 1, {}, uri])).toEqual([[8, 64, 1, {}, 'wamp.error.procedure_already_exists']]);
    }
  });

  test('win over patterns of others', () => {
    const { peer } = realmWith({ 'test.ping': () => ({ args: ['pong'] }) });
    peer.ask([64, 1, { match: 'prefix' }, 'test']);
    expect(peer.ask([48, 1, {}, 'test.ping'])).toEqual([[50, 1, {}, ['pong']]]);
  });

  test('fail with the error that they throw; of any other nothing is told but that there was one', async () => {
    const { peer } = realmWith({
      'test.error': () => {
        throw new WampError('test.no', ['why'], { more: 1 });
      },
      'test.bug': () => Promise.reject(new Error('a secret')),
      'test.unfit': () => ({ args: [1n] }),
      'test.unfit.error': () => {
        throw new WampError('test.no', [1n]);
      },
    });
    expect(peer.ask([48, 1, {}, 'test.error'])).toEqual([[8, 48, 1, {}, 'test.no', ['why'], { more: 1 }]]);
    peer.say([48, 2, {}, 'test.bug']);
    await vi.waitFor(
      () =>
        expect(peer.heard.splice(0)).toEqual([
          [8, 48, 2, {}, 'wamp.error.runtime_error', ['internal error']],
        ]),
      { timeout: 60_000 },
    );
    expect(peer.ask([48, 3, {}, 'test.unfit'])).toEqual([
      [8, 48, 3, {}, 'wamp.error.runtime_error', ['internal error']],
    ]);
    expect(peer.ask([48, 4, {}, 'test.unfit.error'])).toEqual([[8, 48, 4, {}, 'test.no']]);
    // As pino wants errors; and who reads the log need not learn the name of a realm.
    expect(quiet.warn).toHaveBeenCalledWith(
      { procedure: 'test.bug', err: new Error('a secret') },
      'the handler of a procedure failed',
    );
  });

  test('can send results one by one', async () => {
    const { peer } = realmWith({
      'test.count': async (_args, _kwargs, invocation) => {
        invocation.progress([1]);
        await Promise.resolve();
        invocation.progress([2]);
        return { args: [invocation.receivesProgress] };
      },
    });
    peer.say([48, 1, { receive_progress: true }, 'test.count']);
    peer.say([48, 2, {}, 'test.count']);
    await expect.poll(() => peer.heard).toHaveLength(4);
    expect(peer.heard).toEqual([
      [50, 1, { progress: true }, [1]],
      [50, 1, { progress: true }, [2]],
      [50, 1, {}, [true]],
      [50, 2, {}, [false]],
    ]);
  });

  test.each([
    ['cancels', (peer: { say(message: unknown): void }) => peer.say([49, 1, {}])],
    ['goes', (peer: { vanish(): void }) => peer.vanish()],
  ])('learn by their signal that the caller %s', async (_how, end) => {
    const { promise, resolve } = Promise.withResolvers<Invocation<undefined>>();
    const { peer } = realmWith({
      'test.wait': async (_args, _kwargs, invocation) => {
        resolve(invocation);
        await new Promise((done) => invocation.signal.addEventListener('abort', done));
      },
    });
    peer.say([48, 1, {}, 'test.wait']);
    const invocation = await promise;
    expect(invocation.signal.aborted).toBe(false);
    end(peer);
    expect(invocation.signal.aborted).toBe(true);
  });

  test('can be taken back', () => {
    const { peer, realm } = realmWith();
    const takeBack = realm.local.register('test.other', () => ({ args: [1] }));
    expect(() => realm.local.register('test.other', () => undefined)).toThrow('procedure_already_exists');
    expect(() => realm.local.register('not a uri', () => undefined)).toThrow('invalid_uri');
    expect(peer.ask([48, 1, {}, 'test.other'])).toEqual([[50, 1, {}, [1]]]);
    takeBack();
    takeBack();
    expect(peer.ask([48, 2, {}, 'test.other'])[0]?.[4]).toBe('wamp.error.no_such_procedure');
  });
});

describe("the owner's calls", () => {
  const callPeer = (realm: Realm<undefined>, options = {}) =>
    realm.local.call('test.peer', [1], { a: 2 }, options);

  test('resolve with the result', async () => {
    const { peer, realm } = realmWith();
    peer.ask([64, 1, {}, 'test.peer']);
    const result = callPeer(realm);
    expect(peer.take()).toEqual([68, 1, expect.any(Number), {}, [1], { a: 2 }]);
    peer.say([70, 1, {}, ['x'], { y: 1 }]);
    await expect(result).resolves.toEqual({ args: ['x'], kwargs: { y: 1 } });
  });

  test("reject with the callee's error", async () => {
    const { peer, realm } = realmWith();
    peer.ask([64, 1, {}, 'test.peer']);
    const result = callPeer(realm);
    peer.say([8, 68, 1, {}, 'test.no', ['why'], { base_error: 'x' }]);
    await expect(result).rejects.toMatchObject({
      uri: 'test.no',
      args: ['why'],
      kwargs: { base_error: 'x' },
    });
  });

  test('reject when the callee goes, when nobody offers the procedure, and when it is no URI', async () => {
    const { peer, realm } = realmWith();
    await expect(callPeer(realm)).rejects.toMatchObject({ uri: 'wamp.error.no_such_procedure' });
    await expect(realm.local.call('no uri')).rejects.toMatchObject({ uri: 'wamp.error.invalid_uri' });
    peer.ask([64, 1, {}, 'test.peer']);
    const result = callPeer(realm);
    peer.vanish();
    await expect(result).rejects.toMatchObject({ uri: 'wamp.error.canceled' });
  });

  test('reject when they are cancelled, when they time out, and when their arguments are not fit for JSON', async () => {
    const { peer, realm } = realmWith();
    peer.ask([64, 1, {}, 'test.peer']);
    const controller = new AbortController();
    const cancelled = callPeer(realm, { signal: controller.signal });
    controller.abort();
    await expect(cancelled).rejects.toMatchObject({ uri: 'wamp.error.canceled' });
    await expect(callPeer(realm, { signal: controller.signal })).rejects.toMatchObject({
      uri: 'wamp.error.canceled',
    });
    await expect(callPeer(realm, { timeout: 1 })).rejects.toMatchObject({ uri: 'wamp.error.timeout' });
    await expect(realm.local.call('test.peer', [1n])).rejects.toThrow(TypeError);
    expect(realm.local).toMatchObject({ calls: { size: 0 } });
  });

  test('get results one by one', async () => {
    const { peer, realm } = realmWith();
    peer.ask([64, 1, {}, 'test.peer']);
    const progress = vi.fn();
    const result = callPeer(realm, { progress });
    peer.say([70, 1, { progress: true }, ['half']]);
    peer.say([70, 1, {}, ['all']]);
    await expect(result).resolves.toEqual({ args: ['all'], kwargs: {} });
    expect(progress).toHaveBeenCalledExactlyOnceWith(['half'], {});
  });

  test('reach the procedures of the realm itself', async () => {
    const { realm } = realmWith({
      'test.ping': (_args, _kwargs, { caller }) => ({ args: ['pong', caller] }),
    });
    await expect(realm.local.call('test.ping')).resolves.toEqual({ args: ['pong', null], kwargs: {} });
  });
});

describe("the owner's events", () => {
  test('reach it, by its table of topics and by subscriptions, with their publisher', () => {
    const { peer, realm } = realmWith();
    const heard = vi.fn();
    const stop = realm.local.subscribe('test.news', heard);
    peer.say([16, 1, {}, 'test.news', [1], { a: 2 }]);
    stop();
    stop();
    peer.say([16, 2, {}, 'test.news']);
    expect(heard).toHaveBeenCalledExactlyOnceWith(
      [1],
      { a: 2 },
      {
        realm,
        topic: 'test.news',
        publication: expect.any(Number) as number,
        publisher: realm.sessions.get(peer.id),
      },
    );
  });

  test('reach a table of topics that realms share, unless others are meant', () => {
    const onBeat = vi.fn();
    const { peer } = realmWith({}, onBeat);
    peer.say([16, 1, {}, 'test.beat']);
    peer.say([16, 2, { eligible: [peer.id] }, 'test.beat']);
    expect(onBeat).toHaveBeenCalledOnce();
  });

  test('do no harm when their handler fails', () => {
    const { peer, realm } = realmWith(
      {},
      vi.fn().mockImplementation(() => {
        throw new Error('broken');
      }),
    );
    peer.say([16, 1, {}, 'test.beat']);
    expect(realm.sessions.size).toBe(1);
  });

  test('are published to all, or to those who are meant', () => {
    const { router, peer, realm } = realmWith();
    const other = join(router);
    for (const each of [peer, other]) each.ask([32, 1, {}, 'test.news']);
    realm.local.publish('test.news', [1], { a: 2 });
    realm.local.publish('test.news', [2], {}, { eligible: [other.id] });
    expect(peer.heard.map((message) => message.slice(3))).toEqual([[{}, [1], { a: 2 }]]);
    expect(other.heard).toHaveLength(2);
  });
});
