import { describe, expect, test } from 'vitest';
import { ProtocolViolation } from '../../src/wamp/errors.ts';
import { parseMessage } from '../../src/wamp/messages.ts';
import { ALL_ROLES, connect, join, routerWith } from './support/peer.ts';

const parse = (text: string) => parseMessage(text, { nesting: 100, members: 10_000 });

const wellFormed: unknown[][] = [
  [1, 'realm1', ALL_ROLES],
  [3, {}, 'wamp.close.normal'],
  [3, {}, 'wamp.close.normal', ['why'], { more: 1 }],
  [5, 'signature', {}],
  [6, {}, 'wamp.close.close_realm'],
  [8, 68, 1, {}, 'some.error'],
  [8, 68, 1, {}, 'some.error', ['text'], { base_error: 'x' }],
  [16, 1, {}, 'topic'],
  [16, 1, {}, 'topic', [1]],
  [16, 1, {}, 'topic', [1], { a: 1 }],
  [32, 1, {}, 'topic'],
  [34, 1, 2],
  [48, 1, {}, 'procedure'],
  [48, 1, {}, 'procedure', []],
  [48, 9_007_199_254_740_992, {}, 'procedure', [], {}],
  [49, 1, {}],
  [64, 1, {}, 'procedure'],
  [66, 1, 2],
  [70, 1, {}],
  [70, 1, {}, [1], { a: 1 }],
];

describe('a message of a client', () => {
  test.each(wellFormed.map((message) => [JSON.stringify(message), message] as const))(
    '%s is read as it is',
    (text, message) => {
      expect(parse(text)).toEqual(message);
    },
  );

  test.each(wellFormed.map((message) => [JSON.stringify(message), message] as const))(
    '%s is refused when it is longer or shorter than it may be, or one of its elements is of another type',
    (_text, message) => {
      expect(() => parse(JSON.stringify([...message, {}, {}, {}]))).toThrow(ProtocolViolation);
      expect(() => parse(JSON.stringify(message.slice(0, 2)))).toThrow(ProtocolViolation);
      for (let index = 1; index < message.length; index++) {
        for (const wrong of [null, true, -1, 1.5]) {
          // Null for arguments is none.
          if (wrong === null && Array.isArray(message[index])) continue;
          expect(() => parse(JSON.stringify(message.with(index, wrong)))).toThrow(ProtocolViolation);
        }
      }
    },
  );

  test.each([
    [
      [48, 1, {}, 'a.b', null],
      [48, 1, {}, 'a.b', []],
    ],
    [
      [48, 1, {}, 'a.b', null, { a: null }],
      [48, 1, {}, 'a.b', [], { a: null }],
    ],
    [
      [70, 1, {}, null, { a: 1 }],
      [70, 1, {}, [], { a: 1 }],
    ],
    [
      [8, 68, 1, {}, 'some.error', null, {}],
      [8, 68, 1, {}, 'some.error', [], {}],
    ],
    [
      [16, 1, {}, 'topic', null],
      [16, 1, {}, 'topic', []],
    ],
  ])('%j has no arguments', (message, read) => {
    expect(parse(JSON.stringify(message))).toEqual(read);
  });

  test.each([
    ['no JSON', '[48,1,{},"a"'],
    ['nothing', ''],
    ['an empty list', '[]'],
    ['an object', '{}'],
    ['a number', '1'],
    ['null', 'null'],
    ['a code alone', '[1]'],
    ['a code that is a string', '["1","realm1",{}]'],
    ['an unknown code', '[99,1,{}]'],
    ['the obsolete HEARTBEAT', '[7,1,1]'],
    ['an ERROR of something else than an invocation', '[8,48,1,{},"some.error"]'],
    ['a WELCOME', '[2,1,{"roles":{}}]'],
    ['a CHALLENGE', '[4,"ticket",{}]'],
    ['an EVENT', '[36,1,1,{}]'],
    ['a RESULT', '[50,1,{}]'],
    ['an INVOCATION', '[68,1,1,{}]'],
    ['options that are a list', '[48,1,[],"a.b"]'],
    ['arguments that are a dictionary', '[48,1,{},"a.b",{}]'],
    ['keyword arguments that are null', '[48,1,{},"a.b",[],null]'],
    ['keyword arguments that are a list', '[48,1,{},"a.b",[],[]]'],
    ['the id 0', '[48,0,{},"a.b"]'],
    ['a negative id', '[48,-1,{},"a.b"]'],
    ['an id that is no integer', '[48,1.5,{},"a.b"]'],
    ['an id above 2^53', '[48,9007199254740993,{},"a.b"]'],
    ['an id far above 2^53', '[48,1e300,{},"a.b"]'],
    ['an id above 2^53 in an ERROR', '[8,68,9007199254740993,{},"a.b"]'],
    ['options that are a large number', '[48,1,99999999999999999,"a.b"]'],
    ['keyword arguments that are a large number', '[48,1,{},"a.b",[],99999999999999999]'],
    ['roles that are a large number', '[1,"realm1",99999999999999999]'],
    ['an id above 2^53 in second place', '[66,1,9007199254740993]'],
  ])('that is %s is refused', (_what, text) => {
    expect(() => parse(text)).toThrow(ProtocolViolation);
  });

  test('may have the id 2^53, which deployed workers send', () => {
    expect(parse('[ 66 , 9007199254740992 , 9007199254740992 ]')).toEqual([66, 2 ** 53, 2 ** 53]);
  });

  test('is refused when it is nested too deeply, however it tries to hide that', () => {
    const nested = (depth: number) => `[48,1,{},"a.b",${'['.repeat(depth)}${']'.repeat(depth)}]`;
    expect(parse(nested(99))).toHaveLength(5);
    expect(() => parse(nested(100))).toThrow('nested');
    expect(() => parse(nested(1_000_000))).toThrow('nested');
    const mixed = `[48,1,{},"a.b",["]]]}}}\\"]\\\\",${'{"a":['.repeat(60)}${']}'.repeat(60)}]]`;
    expect(() => parse(mixed)).toThrow('nested');
  });

  test('is refused when it has too many members, keys counted too', () => {
    const withArguments = (text: string) => parse(`[48,1,{},"a.b",[${text}]]`);
    expect(withArguments(Array(9_900).fill('1').join())).toHaveLength(5);
    for (const member of ['1', '[]', '{}', '"a"', '{"a":1}', '[[1,2]]']) {
      expect(() => withArguments(Array(10_001).fill(member).join())).toThrow('10000 members');
    }
    expect(() => withArguments(`{"a":1,${'"a":1,'.repeat(5_000)}"b":2}`)).toThrow('10000 members');
    expect(withArguments(`"${'[{,:'.repeat(10_000)}"`)).toHaveLength(5);
  });

  test('keeps integers that JavaScript would round', () => {
    const text =
      '[48,1,{},"a.b",[9007199254740993,-9007199254740993,9007199254740992,1795192542060226123,"9007199254740993",0.1],{"__proto__":18446744073709551615}]';
    expect(JSON.stringify(parse(text))).toBe(text);
  });

  test('may be long, and full of brackets within strings', () => {
    const text = JSON.stringify([48, 1, {}, 'a.b', ['['.repeat(1000), '\\"[{'.repeat(1000), '\\']]);
    expect(JSON.stringify(parse(text))).toBe(text);
  });
});

describe('a client that breaks the protocol', () => {
  test.each([
    '[]',
    '{}',
    '[1]',
    'x',
    '[2,1,{}]',
    '[99]',
    '[48,0,{},"a.b"]',
    '[16,1,{"acknowledge":1},"a.b"]',
    '[48,1,{"timeout":-1},"a.b"]',
    '[32,1,{"match":"regex"},"a.b"]',
    '[64,1,{"invoke":"all"},"a.b"]',
    '[49,1,{"mode":"gently"}]',
    '[16,1,{"exclude":[0]},"a.b"]',
    '[16,1,{"eligible_authid":"joe"},"a.b"]',
  ])('with %s is told so by ABORT and cut off, and nobody else', (text) => {
    const router = routerWith();
    const offender = join(router);
    const other = join(router);
    offender.sayText(text);
    expect(offender.heard).toEqual([
      [3, { message: expect.any(String) as string }, 'wamp.error.protocol_violation'],
    ]);
    expect(offender.isClosed).toBe(true);
    expect(router.sessionCount).toBe(1);
    expect(other.ask([32, 1, {}, 'a.topic'])).toEqual([[33, 1, expect.any(Number) as number]]);
  });

  test('before it has joined anything gets the same', () => {
    for (const first of [
      [6, {}, 'wamp.close.close_realm'],
      [48, 1, {}, 'a.b'],
      [5, 'x', {}],
      [2, 1, {}],
    ]) {
      const peer = connect(routerWith());
      expect(peer.ask(first)).toMatchObject([[3, {}, 'wamp.error.protocol_violation']]);
      expect(peer.isClosed).toBe(true);
    }
  });
});
