import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { INTERRUPTIBLE } from './support/peer.ts';
import { P, register, twoPeers } from './support/procedure.ts';

describe('cancelling a call', () => {
  const canceled = [8, 48, 1, {}, 'wamp.error.canceled', [expect.any(String)]];

  test.each([{ mode: 'killnowait' }, {}])('with %j answers at once and interrupts the callee', (options) => {
    const { caller, callee } = twoPeers(INTERRUPTIBLE);
    register(callee);
    caller.say([48, 1, {}, P]);
    callee.take();
    expect(caller.ask([49, 1, options])).toEqual([canceled]);
    expect(callee.take()).toEqual([69, 1, { mode: 'killnowait' }]);
    callee.say([8, 68, 1, {}, 'wamp.error.canceled']);
    expect(caller.heard).toEqual([]);
  });

  test('with skip answers at once and leaves the callee alone', () => {
    const { caller, callee } = twoPeers(INTERRUPTIBLE);
    register(callee);
    caller.say([48, 1, {}, P]);
    callee.take();
    expect(caller.ask([49, 1, { mode: 'skip' }])).toEqual([canceled]);
    expect(callee.heard).toEqual([]);
    callee.say([70, 1, {}, ['late']]);
    expect(caller.heard).toEqual([]);
  });

  test('with kill lets the callee answer', () => {
    const { caller, callee } = twoPeers(INTERRUPTIBLE);
    register(callee);
    caller.say([48, 1, {}, P]);
    callee.take();
    expect(caller.ask([49, 1, { mode: 'kill' }])).toEqual([]);
    expect(callee.take()).toEqual([69, 1, { mode: 'kill' }]);
    callee.say([8, 68, 1, {}, 'wamp.error.canceled', ['stopped']]);
    expect(caller.heard).toEqual([[8, 48, 1, {}, 'wamp.error.canceled', ['stopped']]]);
  });

  test.each(['skip', 'kill', 'killnowait'])(
    'with %s never sends INTERRUPT to a callee that did not announce it: such clients end their session on it',
    (mode) => {
      const { caller, callee } = twoPeers();
      register(callee);
      caller.say([48, 1, {}, P]);
      callee.take();
      expect(caller.ask([49, 1, { mode }])).toEqual([canceled]);
      expect(callee.heard).toEqual([]);
    },
  );

  test('that is over, or never was, does nothing', () => {
    const { caller } = twoPeers();
    expect(caller.ask([49, 1, {}])).toEqual([]);
  });

  test('happens by itself when the caller goes', () => {
    const { caller, callee } = twoPeers(INTERRUPTIBLE);
    register(callee);
    caller.say([48, 1, {}, P]);
    callee.take();
    caller.vanish();
    expect(callee.heard).toEqual([[69, 1, { mode: 'killnowait' }]]);
  });
});

describe('the timeout of a call', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test('answers with wamp.error.timeout, interrupts the callee, and is off when it is 0', () => {
    const { caller, callee } = twoPeers(INTERRUPTIBLE);
    register(callee);
    caller.say([48, 1, { timeout: 500 }, P]);
    caller.say([48, 2, { timeout: 0 }, P]);
    callee.heard.splice(0);
    vi.advanceTimersByTime(499);
    expect(caller.heard).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(caller.heard).toEqual([[8, 48, 1, {}, 'wamp.error.timeout', ['the call has timed out']]]);
    expect(callee.heard).toEqual([[69, 1, { mode: 'killnowait' }]]);
  });

  test('does not matter when the answer comes in time, and begins anew with each progressive result', () => {
    const { caller, callee } = twoPeers();
    register(callee);
    caller.say([48, 1, { timeout: 500, receive_progress: true }, P]);
    vi.advanceTimersByTime(400);
    callee.say([70, 1, { progress: true }]);
    vi.advanceTimersByTime(400);
    callee.say([70, 1, {}]);
    vi.advanceTimersByTime(10_000);
    expect(caller.heard).toEqual([
      [50, 1, { progress: true }],
      [50, 1, {}],
    ]);
  });

  test('may be longer than timers can', () => {
    const { caller, callee } = twoPeers();
    register(callee);
    caller.say([48, 1, { timeout: Number.MAX_SAFE_INTEGER }, P]);
    vi.advanceTimersByTime(1_000_000);
    expect(caller.heard).toEqual([]);
  });
});
