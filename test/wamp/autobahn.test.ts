import { describe, expect, test, vi } from 'vitest';
import { ticketPolicy } from '../../src/wamp/tickets.ts';
import { autobahn, openAutobahn } from './support/autobahn.ts';
import type { AutobahnSession } from './support/autobahn.ts';
import { startRouter } from './support/server.ts';

/** Runs with sessions of the client that people use: what it cannot live with, the router must not do. */
async function withSessions(
  count: number,
  run: (...sessions: [AutobahnSession, AutobahnSession, AutobahnSession]) => Promise<void>,
): Promise<void> {
  await using router = await startRouter();
  const connections = await Promise.all(Array.from({ length: count }, () => openAutobahn(router.url)));
  const [first, second = first, third = second] = connections.map(({ session }) => session);
  if (!first || !second || !third) throw new Error('no session');
  await run(first, second, third);
  for (const connection of connections) connection.close();
  await Promise.all(connections.map(({ closed }) => closed));
  expect(router.router.sessionCount).toBe(0);
}

describe('autobahn', () => {
  test('joins, learns the features, and leaves', async () => {
    await using router = await startRouter();
    const connection = await openAutobahn(router.url);
    expect(connection.session.features).toMatchObject({
      caller: { call_canceling: true, progressive_call_results: true, caller_identification: true },
      callee: { pattern_based_registration: true, shared_registration: true },
      publisher: { publisher_exclusion: true, subscriber_blackwhite_listing: true },
      subscriber: { pattern_based_subscription: true, publisher_identification: true },
    });
    connection.close();
    const { reason, details } = await connection.closed;
    expect(reason).toBe('closed');
    expect(details.reason).toBe('wamp.close.goodbye_and_out');
  });

  test('is told of a realm that does not exist', async () => {
    await using router = await startRouter();
    await expect(openAutobahn(router.url, { realm: 'nowhere' })).rejects.toThrow('wamp.error.no_such_realm');
  });

  test('shows its ticket', async () => {
    await using router = await startRouter(ticketPolicy(new Map([['joe', 'secret']])));
    const options = (ticket: string) => ({
      authmethods: ['ticket'],
      authid: 'joe',
      onchallenge: () => ticket,
    });
    using connection = await openAutobahn(router.url, options('secret'));
    expect(connection.session.id).toBeGreaterThan(0);
    await expect(openAutobahn(router.url, options('wrong'))).rejects.toThrow(
      'wamp.error.authentication_denied',
    );
  });

  test('is told when the router shuts down', async () => {
    await using router = await startRouter();
    const connection = await openAutobahn(router.url);
    await router.closeTransport();
    expect((await connection.closed).details.reason).toBe('wamp.close.system_shutdown');
  });

  test('passes arguments of every kind', () =>
    withSessions(2, async (caller, callee) => {
      await callee.register('com.arguments.echo', (args, kwargs) => new autobahn.Result(args, kwargs));
      await callee.register('com.arguments.one', (args) => args[0]);
      await callee.register('com.arguments.none', () => undefined);
      const args = [1, [2], { three: 3 }, null, 'fünf', 6.5, true];
      await expect(caller.call('com.arguments.echo', args, { a: { b: 1 } })).resolves.toMatchObject({
        args,
        kwargs: { a: { b: 1 } },
      });
      await expect(caller.call('com.arguments.one', [[1, 2]])).resolves.toEqual([1, 2]);
      await expect(caller.call('com.arguments.none')).resolves.toBeNull();
    }));

  test('passes errors, of an application, of a bug, and of the router', () =>
    withSessions(2, async (caller, callee) => {
      await callee.register('com.error.own', () => {
        throw new autobahn.Error('com.myapp.error', ['why'], { a: 23, b: 9 });
      });
      await callee.register('com.error.bug', () => {
        throw new Error('a bug');
      });
      await expect(caller.call('com.error.own')).rejects.toMatchObject({
        error: 'com.myapp.error',
        args: ['why'],
        kwargs: { a: 23, b: 9 },
      });
      await expect(caller.call('com.error.bug')).rejects.toMatchObject({
        error: 'wamp.error.runtime_error',
        args: [{}],
      });
      await expect(caller.call('com.error.nobody')).rejects.toMatchObject({
        error: 'wamp.error.no_such_procedure',
      });
      await expect(caller.register('com.error.own', () => 1)).rejects.toMatchObject({
        error: 'wamp.error.procedure_already_exists',
      });
    }));

  test('gets progressive results', () =>
    withSessions(1, async (session) => {
      await session.register('com.progress', (args, _kwargs, details) => {
        for (let step = 0; step < Number(args[0]); step++) details.progress?.([step]);
        return 'done';
      });
      const steps: unknown[] = [];
      const result = await session.call('com.progress', [3], {}, { receive_progress: true }).then(
        (value) => value,
        null,
        (step) => steps.push(step),
      );
      expect({ steps, result }).toEqual({ steps: [0, 1, 2], result: 'done' });
    }));

  test('is told who calls and who publishes, when they want that', () =>
    withSessions(2, async (one, other) => {
      await other.register('com.who', (_args, _kwargs, details) => details.caller ?? null);
      await expect(one.call('com.who', [], {}, { disclose_me: true })).resolves.toBe(one.id);
      await expect(one.call('com.who')).resolves.toBeNull();
      const publishers: unknown[] = [];
      await other.subscribe('com.news', (_args, _kwargs, { publisher }) => publishers.push(publisher));
      await one.publish('com.news', [], {}, { disclose_me: true, acknowledge: true });
      await one.publish('com.news', [], {}, { acknowledge: true });
      await expect.poll(() => publishers).toEqual([one.id, undefined]);
    }));

  test('publishes to all, to itself, or to some', () =>
    withSessions(3, async (one, two, three) => {
      const heard: string[] = [];
      const listen = (session: AutobahnSession, name: string) =>
        session.subscribe('com.news', ([what]) => heard.push(`${name} ${String(what)}`));
      await listen(one, 'one');
      await listen(two, 'two');
      await listen(three, 'three');
      const publish = async (what: string, options: object) => {
        await one.publish('com.news', [what], {}, { acknowledge: true, ...options });
      };
      await publish('a', {});
      await publish('b', { exclude_me: false });
      await publish('c', { exclude: [two.id] });
      await publish('d', { eligible: [two.id, one.id] });
      await vi.waitFor(
        () =>
          expect(heard.sort()).toEqual(['one b', 'three a', 'three b', 'three c', 'two a', 'two b', 'two d']),
        { timeout: 60_000 },
      );
    }));

  test('listens to the same topic twice, and stops', () =>
    withSessions(2, async (publisher, listener) => {
      const heard: string[] = [];
      const first = await listener.subscribe('com.news', () => heard.push('first'));
      const second = await listener.subscribe('com.news', () => heard.push('second'));
      expect(first.id).toBe(second.id);
      await publisher.publish('com.news', [], {}, { acknowledge: true });
      await expect.poll(() => heard).toEqual(['first', 'second']);
      await first.unsubscribe();
      await second.unsubscribe();
      await publisher.publish('com.news', [], {}, { acknowledge: true });
      await listener.call('com.nobody').then(
        () => null,
        () => null,
      );
      expect(heard).toHaveLength(2);
    }));

  test('listens by patterns', () =>
    withSessions(2, async (publisher, listener) => {
      const heard: unknown[] = [];
      const add =
        (match: string) =>
        (args: unknown[], _kwargs: object, { topic }: { topic: string }) =>
          heard.push([match, topic, args[0]]);
      await listener.subscribe('com.myapp', add('prefix'), { match: 'prefix' });
      await listener.subscribe('com..topic1', add('wildcard'), { match: 'wildcard' });
      await listener.subscribe('com.myapp.topic1', add('exact'), { match: 'exact' });
      await publisher.publish('com.myapp.topic1', [1], null, { acknowledge: true });
      await publisher.publish('com.myapp.topic123', [2], null, { acknowledge: true });
      await publisher.publish('com.foobar', [3], null, { acknowledge: true });
      await vi.waitFor(
        () =>
          expect(heard).toEqual([
            ['exact', 'com.myapp.topic1', 1],
            ['prefix', 'com.myapp.topic1', 1],
            ['wildcard', 'com.myapp.topic1', 1],
            ['prefix', 'com.myapp.topic123', 2],
          ]),
        { timeout: 60_000 },
      );
    }));

  test('offers procedures by patterns, shared with others, and takes them back', () =>
    withSessions(3, async (caller, one, other) => {
      await one.register('com.files', (_args, _kwargs, { procedure }) => procedure, { match: 'prefix' });
      await expect(caller.call('com.files.read')).resolves.toBe('com.files.read');
      const registration = await one.register('com.shared', () => 'one', { invoke: 'roundrobin' });
      await other.register('com.shared', () => 'other', { invoke: 'roundrobin' });
      const answers = [await caller.call('com.shared'), await caller.call('com.shared')];
      expect(answers).toEqual(['one', 'other']);
      await registration.unregister();
      await expect(caller.call('com.shared')).resolves.toBe('other');
    }));

  test('calls many procedures at once', () =>
    withSessions(2, async (caller, callee) => {
      await callee.register('com.square', async ([x]) => {
        await new Promise((resolve) => setImmediate(resolve));
        return Number(x) ** 2;
      });
      const results = await Promise.all(
        Array.from({ length: 500 }, (_, x) => caller.call('com.square', [x])),
      );
      expect(results).toEqual(Array.from({ length: 500 }, (_, x) => x ** 2));
    }));

  test('survives as a callee that its caller cancels or runs out of time', () =>
    withSessions(2, async (caller, callee) => {
      const { promise, resolve } = Promise.withResolvers<string>();
      await callee.register('com.slow', () => promise);
      await callee.register('com.ping', () => 'pong');
      await expect(caller.call('com.slow', [], {}, { timeout: 5 })).rejects.toMatchObject({
        error: 'wamp.error.timeout',
      });
      resolve('late');
      await expect(caller.call('com.ping')).resolves.toBe('pong');
    }));

  test('is answered when its callee leaves', () =>
    withSessions(2, async (caller, callee) => {
      const { promise: invoked, resolve } = Promise.withResolvers<null>();
      await callee.register('com.slow', () => {
        resolve(null);
        return Promise.withResolvers<never>().promise;
      });
      const answer = caller.call('com.slow').then(
        () => null,
        (error: unknown) => error,
      );
      await invoked;
      callee.leave('wamp.close.close_realm', '');
      expect(await answer).toMatchObject({ error: 'wamp.error.canceled' });
    }));
});
