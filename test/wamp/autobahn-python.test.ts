import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { beforeAll, expect, test } from 'vitest';
import { ticketPolicy } from '../../src/wamp/tickets.ts';
import { program, PYTHON } from '../peers/python.ts';
import { startRouter } from './support/server.ts';

/** Autobahn|Python, which the deployed managers are made of, as a client of the router: an implementation that shares nothing with ours. */

let found: Readonly<Record<string, unknown>>;
beforeAll(async () => {
  await using open = await startRouter();
  await using guarded = await startRouter(ticketPolicy(new Map([['joe', 's3:cret']])));
  const { stdout } = await promisify(execFile)(PYTHON, program('wamp_client.py', open.url, guarded.url), {
    timeout: 100_000,
  });
  found = JSON.parse(stdout) as typeof found;
}, 110_000);

test('calls and is called', () => {
  expect(found['calls']).toEqual({
    values: [true, { key: 'value' }],
    large: 2_000_000,
    failed: ['com.example.failed', ['why', 7], { detail: 'more' }],
    crashed: ['wamp.error.runtime_error', ['a bug'], {}],
    progress: [[0, 1, 2], 3],
    'timed out': 'wamp.error.timeout',
    taken: 'wamp.error.procedure_already_exists',
    reserved: 'wamp.error.invalid_uri',
    unknown: 'wamp.error.no_such_procedure',
    'after a cancellation': 'still there',
    unregistered: 'wamp.error.no_such_procedure',
  });
});

test('publishes and listens', () => {
  expect(found['events']).toEqual(
    ['to others', 'to all', 'to all', 'to one', 'by prefix'].map((text) => [
      [text],
      { key: 'value' },
      'com.example.topic',
    ]),
  );
});

test('joins by JSON, anonymously or by ticket, and leaves', () => {
  expect(found).toMatchObject({
    'another realm': 'wamp.error.no_such_procedure',
    'no such realm': 'wamp.error.no_such_realm',
    'msgpack too': 'accepted',
    'a ticket': ['joe', 'ticket'],
    'a wrong ticket': 'wamp.error.authentication_denied',
    'no ticket': 'wamp.error.authentication_required',
    left: 'wamp.close.goodbye_and_out',
    'callee left': 'wamp.error.canceled',
  });
});
