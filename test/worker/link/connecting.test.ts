import { expect, it } from 'vitest';
import { extensionNames } from '../../../src/contract/extensions.ts';
import { endlessEngine, someBuild, startWorker } from '../harness.ts';
import { isReady, READY, Refusal, SILENCE, startTestManager, type Worker } from '../test-manager.ts';

/** How a worker comes to its realm, and what it does when a manager does not behave (contract 0.3, "Connecting"). */

it('registers, leaves, joins its own realm on the same connection, and says what contract 0.3 asks for, in order', async () => {
  await using manager = await startTestManager();
  await using _worker = await startWorker({ manager });
  const connection = await manager.connection();
  await connection.frame(isReady);
  // The next heartbeat may have come in the same piece as `ready`.
  const untilReady = connection.frames.slice(0, connection.frames.findIndex(isReady) + 1);
  const said = untilReady.map(([type, a, b, c, , kwargs]) =>
    type === 1 ? [1, a, b] : type === 48 || type === 64 || type === 16 ? [type, c, kwargs] : [type],
  );
  const roles = { caller: {}, callee: {}, publisher: {}, subscriber: {} };
  expect(said).toEqual([
    [1, 'registration', { roles }],
    [48, 'io.quay.buildworker.register', undefined],
    [6],
    [
      1,
      '5e7c2a54-realm',
      {
        roles,
        authextra: {
          extensions: [...extensionNames],
          worker: { id: 'test', slot: 0, slots: 1, labels: {}, kinds: ['image'] },
        },
      },
    ],
    [48, 'io.quay.buildworker.ping', undefined],
    [64, 'io.quay.builder.build', undefined],
    [16, 'io.quay.builder.heartbeat', undefined],
    [48, READY, { token: '', version: '0.3' }],
  ]);
});

it.each([
  ['late, before WELCOME', true],
  ['not at all', false],
])('gets ready when the manager answers GOODBYE %s', async (_what, answers) => {
  await using manager = await startTestManager({
    ignoresGoodbye: true,
    onHello: (realm, connection) => {
      if (answers && realm !== 'registration') connection.send([6, {}, 'wamp.goodbye.normal']);
      return undefined;
    },
  });
  await using worker = await startWorker({ manager });
  const connection = await manager.connection();
  await connection.frame(isReady);
  await worker.logged('worker is ready');
});

it('does not answer a challenge without a ticket, or by another method', async () => {
  for (const [method, ticket] of [
    ['ticket', undefined],
    ['wampcra', { name: 'test', ticket: 'TICKET-0123456789' }],
  ] as const) {
    await using manager = await startTestManager({ onHello: () => [4, method, {}] });
    await using worker = await startWorker({ manager, ...(ticket ? { ticket } : {}) });
    const connection = await manager.connection();
    await connection.closed;
    await worker.logged('the manager asks for a ticket (REGISTRATION_TICKET)');
    expect(JSON.stringify(connection.frames)).not.toContain('TICKET-0123456789');
    expect(connection.frames.map(([type]) => type)).toEqual([1, 3]);
  }
});

it('joins the realm that it was made for, with its token, when it is hosted', async () => {
  await using manager = await startTestManager();
  await using _worker = await startWorker({ manager, realm: 'one-build', token: 'TOKEN-0123456789' });
  const connection = await manager.connection();
  const ready = await connection.frame(isReady);
  expect(connection.frames[0]?.slice(0, 2)).toEqual([1, 'one-build']);
  expect(ready[5]).toEqual({ token: 'TOKEN-0123456789', version: '0.3' });
});

it('starts over after `false` at ready, when it is enterprise', async () => {
  await using manager = await startTestManager({ onCall: (uri) => (uri === READY ? false : undefined) });
  await using _worker = await startWorker({ manager });
  await (
    await manager.connection()
  ).closed;
  await (await manager.connection()).frame(isReady);
});

it('ends as rejected after `false` at ready, when it is hosted', async () => {
  await using manager = await startTestManager({ onCall: (uri) => (uri === READY ? false : undefined) });
  await using worker = await startWorker({ manager, realm: 'one-build', token: 'wrong' });
  expect(await worker.ended).toBe('rejected');
});

it('ends as rejected when its realm is refused, when it is hosted', async () => {
  await using manager = await startTestManager({ onHello: () => [3, {}, 'wamp.error.no_such_realm'] });
  await using worker = await startWorker({ manager, realm: 'one-build', token: 'TOKEN' });
  expect(await worker.ended).toBe('rejected');
  expect(worker.log()).toContain('wamp.error.no_such_realm');
});

it('starts over when its realm is refused, when it is enterprise', async () => {
  let refusals = 0;
  await using manager = await startTestManager({
    onHello: (realm) =>
      realm === 'registration' || (refusals += 1) > 1 ? undefined : [3, {}, 'wamp.error.no_such_realm'],
  });
  await using _worker = await startWorker({ manager });
  await (
    await manager.connection()
  ).closed;
  await (await manager.connection()).frame(isReady);
});

it('starts over when `ready`, or HELLO, is not answered', async () => {
  const silent = new Set<Worker>();
  await using manager = await startTestManager({
    onHello: (_realm, connection) =>
      silent.size === 1 && !silent.has(connection) ? (silent.add(connection), SILENCE) : undefined,
    onCall: (uri, _kwargs, connection) =>
      uri === READY && silent.size === 0 ? (silent.add(connection), SILENCE) : undefined,
  });
  await using _worker = await startWorker({ manager });
  await (
    await manager.connection()
  ).closed;
  await (
    await manager.connection()
  ).closed;
  await (await manager.connection()).frame(isReady);
});

it('tries five times and ends as unreachable, when it is hosted', async () => {
  const manager = await startTestManager();
  await manager[Symbol.asyncDispose]();
  await using worker = await startWorker({ manager, realm: 'one-build', token: 'TOKEN' });
  expect(await worker.ended).toBe('unreachable');
  expect(worker.log().match(/not ready; trying again/g)).toHaveLength(4);
});

it.each([
  ['text that is not JSON', 'garbage'],
  ['JSON that is no message', '{"a": 1}'],
  ['a message without a kind', '[]'],
  ['a WELCOME without roles', '[2, 1, {}]'],
  ['a result nobody asked for', '[50, 99, {}]'],
  ['an ERROR of an odd shape', '[8, null]'],
  ['a number that JSON.parse rounds', '[50, 1e400]'],
  ['bytes', Buffer.from([0, 255, 1])],
  ['an invocation of what was not registered', '[68, 1, 4, {}]'],
])('outlives %s, and connects again', async (_what, garbage) => {
  await using manager = await startTestManager({
    onHello: (_realm, connection) => {
      if (connections++ > 0) return undefined;
      connection.socket.send(garbage);
      return SILENCE;
    },
  });
  let connections = 0;
  await using _worker = await startWorker({ manager });
  await (
    await manager.connection()
  ).closed;
  await (await manager.connection()).frame(isReady);
});

it.each([
  ['GOODBYE', (connection: Worker) => connection.send([6, {}, 'wamp.close.system_shutdown'])],
  ['a lost connection', (connection: Worker) => connection.socket.terminate()],
  ['a malformed frame', (connection: Worker) => connection.socket.send(Buffer.from([1]))],
])('registers anew after %s', async (_what, act) => {
  await using manager = await startTestManager();
  await using _worker = await startWorker({ manager });
  const first = await manager.connection();
  await first.frame(isReady);
  act(first);
  await first.closed;
  const second = await manager.connection();
  await second.frame(isReady);
  expect(second.frames[0]?.[1]).toBe('registration');
});

it('sends heartbeats for as long as it lives', async () => {
  await using manager = await startTestManager();
  await using _worker = await startWorker({ manager });
  const connection = await manager.connection();
  await connection.frame(() => connection.frames.filter(([type]) => type === 16).length >= 5);
});

it.each([
  ['answered', false],
  ['not answered', true],
])(
  'leaves with GOODBYE, its last word, when it is asked to, and that is %s',
  async (_what, ignoresGoodbye) => {
    await using manager = await startTestManager({ ignoresGoodbye });
    await using worker = await startWorker({ manager });
    const connection = await manager.connection();
    await worker.logged('worker is ready');
    worker.leave();
    expect(await worker.ended).toBe('left');
    await connection.closed;
    expect(connection.frames.at(-1)?.[0]).toBe(6);
  },
);

it.each([
  ['has no build', false],
  ['has a build, which is stopped', true],
])('registers anew when the manager has given it up without a word, and it %s', async (_what, builds) => {
  const { engine, begun, stopped } = endlessEngine();
  let givenUp: Worker | null = null;
  await using manager = await startTestManager({
    onCall: (_uri, _kwargs, connection) =>
      connection === givenUp ? new Refusal('wamp.error.no_such_procedure') : undefined,
  });
  await using worker = await startWorker({ manager, engine });
  const first = await manager.connection();
  await worker.logged('worker is ready');
  if (builds) {
    first.build(someBuild).catch(() => 'it will not be answered');
    const { onMessage } = await begun;
    givenUp = first;
    void onMessage({ stream: 'nobody hears this\n' });
    await stopped;
  }
  givenUp = first;
  await first.closed;
  await (await manager.connection()).frame(isReady);
  expect(worker.log()).toContain('the manager has given this worker up');
});
