import { describe, expect, test } from 'vitest';
import { join, routerWith } from './support/peer.ts';
import type { Peer } from './support/peer.ts';

const T = 'test.topic';

function subscribe(peer: Peer, uri = T, options: object = {}): unknown {
  const [answer] = peer.ask([32, 900, options, uri]);
  expect(answer).toEqual([33, 900, expect.any(Number)]);
  return answer?.[2];
}

function threePeers() {
  const router = routerWith({
    authenticate: ({ authid }) => ({ type: 'accept', authid: authid ?? 'nobody', authrole: 'guest' }),
  });
  const details = (authid: string) => ({ roles: { publisher: {}, subscriber: {} }, authid });
  return {
    publisher: join(router, 'realm1', details('pat')),
    one: join(router, 'realm1', details('one')),
    two: join(router, 'realm1', details('two')),
  };
}

describe('an event', () => {
  test('reaches those who listen, with arguments and keyword arguments as they were', () => {
    const { publisher, one, two } = threePeers();
    const subscription = subscribe(one);
    expect(subscribe(two)).toBe(subscription);
    expect(publisher.ask([16, 1, {}, T, [1], { a: 2 }])).toEqual([]);
    const event = [36, subscription, expect.any(Number), {}, [1], { a: 2 }];
    expect(one.heard).toEqual([event]);
    expect(two.heard).toEqual([event]);
    expect(one.heard[0]?.[2]).toBe(two.heard[0]?.[2]);
  });

  test('leaves out what was left out', () => {
    const { publisher, one } = threePeers();
    const subscription = subscribe(one);
    publisher.say([16, 1, {}, T]);
    publisher.say([16, 2, {}, T, []]);
    expect(one.heard).toEqual([
      [36, subscription, expect.any(Number), {}],
      [36, subscription, expect.any(Number), {}, []],
    ]);
  });

  test('is acknowledged when that was asked for, before a publisher that listens gets it', () => {
    const { publisher } = threePeers();
    const subscription = subscribe(publisher);
    const [published, event] = publisher.ask([16, 7, { acknowledge: true, exclude_me: false }, T]);
    expect(published).toEqual([17, 7, expect.any(Number)]);
    expect(event).toEqual([36, subscription, published?.[2], {}]);
  });

  test('does not reach its publisher, unless it wants that', () => {
    const { publisher } = threePeers();
    subscribe(publisher);
    expect(publisher.ask([16, 1, {}, T])).toEqual([]);
    expect(publisher.ask([16, 2, { exclude_me: true }, T])).toEqual([]);
    expect(publisher.ask([16, 3, { exclude_me: false }, T])).toHaveLength(1);
  });

  test.each([
    ['exclude', (one: number) => [one], { one: 0, two: 1 }],
    ['eligible', (one: number) => [one], { one: 1, two: 0 }],
    ['eligible', () => [], { one: 0, two: 0 }],
    ['exclude_authid', () => ['one'], { one: 0, two: 1 }],
    ['eligible_authid', () => ['one', 'nobody'], { one: 1, two: 0 }],
    ['exclude_authrole', () => ['guest'], { one: 0, two: 0 }],
    ['eligible_authrole', () => ['guest'], { one: 1, two: 1 }],
    ['exclude', () => null, { one: 1, two: 1 }],
  ])('published with %s reaches whom it says', (option, list, counts) => {
    const { publisher, one, two } = threePeers();
    subscribe(one);
    subscribe(two);
    publisher.say([16, 1, { [option]: list(one.id) }, T]);
    expect({ one: one.heard.length, two: two.heard.length }).toEqual(counts);
  });

  test('tells who published only when the publisher wants that', () => {
    const { publisher, one } = threePeers();
    subscribe(one);
    publisher.say([16, 1, {}, T]);
    publisher.say([16, 2, { disclose_me: true }, T]);
    expect(one.heard.map((message) => message[3])).toEqual([
      {},
      { publisher: publisher.id, publisher_authid: 'pat', publisher_authrole: 'guest' },
    ]);
  });

  test.each(['', 'a..b', 'a.b.', 'a b', 'wamp.session.on_join'])(
    'of the topic %s is refused, aloud only when it is to be acknowledged',
    (uri) => {
      const { publisher } = threePeers();
      expect(publisher.ask([16, 1, {}, uri])).toEqual([]);
      expect(publisher.ask([16, 2, { acknowledge: true }, uri])).toEqual([
        [8, 16, 2, {}, 'wamp.error.invalid_uri'],
      ]);
    },
  );
});

describe('a subscription', () => {
  test('to the same topic twice is one', () => {
    const { publisher, one } = threePeers();
    expect(subscribe(one)).toBe(subscribe(one));
    publisher.say([16, 1, {}, T]);
    expect(one.heard).toHaveLength(1);
  });

  test('ends by UNSUBSCRIBE', () => {
    const { publisher, one, two } = threePeers();
    const subscription = subscribe(one);
    expect(two.ask([34, 1, subscription])).toEqual([[8, 34, 1, {}, 'wamp.error.no_such_subscription']]);
    expect(one.ask([34, 1, subscription])).toEqual([[35, 1]]);
    expect(one.ask([34, 2, subscription])).toEqual([[8, 34, 2, {}, 'wamp.error.no_such_subscription']]);
    publisher.say([16, 1, {}, T]);
    expect(one.heard).toEqual([]);
  });

  test('by prefix or wildcard gets what matches, and is told the topic', () => {
    const { publisher, one, two } = threePeers();
    const prefix = subscribe(one, 'com.example', { match: 'prefix' });
    const wildcard = subscribe(two, 'com.example..create', { match: 'wildcard' });
    for (const topic of [
      'com.example.foobar.create',
      'com.example.1.create',
      'com.example.foobar.delete',
      'com.example.create',
      'com.example',
      'com.example2',
      'com.exampl',
      'org.example.foobar.create',
    ]) {
      publisher.say([16, 1, {}, topic]);
    }
    const topics = (peer: Peer) => peer.heard.map((message) => (message[3] as { topic: string }).topic);
    expect(topics(one)).toEqual([
      'com.example.foobar.create',
      'com.example.1.create',
      'com.example.foobar.delete',
      'com.example.create',
      'com.example',
      'com.example2',
    ]);
    expect(topics(two)).toEqual(['com.example.foobar.create', 'com.example.1.create']);
    expect(new Set(one.heard.map((message) => message[1]))).toEqual(new Set([prefix]));
    expect(new Set(two.heard.map((message) => message[1]))).toEqual(new Set([wildcard]));
  });

  test('that matches in several ways gets an event for each', () => {
    const { publisher, one } = threePeers();
    const ids = [
      subscribe(one),
      subscribe(one, 'test', { match: 'prefix' }),
      subscribe(one, '.topic', { match: 'wildcard' }),
    ];
    publisher.say([16, 1, {}, T]);
    expect(one.heard.map((message) => message[1])).toEqual(ids);
    expect(new Set(one.heard.map((message) => message[2])).size).toBe(1);
  });

  test.each([
    ['', 'exact'],
    ['a..b', 'exact'],
    ['a b', 'prefix'],
    ['a.#', 'wildcard'],
  ])('to %s by %s is refused', (uri, match) => {
    const { one } = threePeers();
    expect(one.ask([32, 1, { match }, uri])).toEqual([[8, 32, 1, {}, 'wamp.error.invalid_uri']]);
  });
});
