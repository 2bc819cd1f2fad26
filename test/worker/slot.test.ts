import { readdir } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import type { Engine, EngineCall } from '../../src/worker/engine/engine.ts';
import { calmEngine, DIGEST, someBuild, startWorker } from './harness.ts';
import { Refusal, SILENCE, startTestManager, type Worker } from './test-manager.ts';

const READY = 'io.quay.buildworker.ready';
const LOG = 'io.quay.builder.logmessagesynchronously';

const isReady = (frame: readonly unknown[]): boolean => frame[0] === 48 && frame[3] === READY;

function phasesOf(worker: Worker): unknown[] {
  return worker
    .calls(LOG)
    .filter(({ json_data: data }) => String(data).includes('status_data'))
    .map(({ phase }) => phase);
}

/** An engine whose build goes on until it is stopped; `begun` resolves when it runs. */
function endlessEngine(): { engine: Engine; begun: Promise<EngineCall>; stopped: Promise<unknown> } {
  const begun = Promise.withResolvers<EngineCall>();
  const stopped = Promise.withResolvers<unknown>();
  const engine = calmEngine({
    build: (_build, call) => {
      begun.resolve(call);
      return new Promise((_resolve, reject) => {
        call.signal.addEventListener('abort', () => {
          stopped.resolve(call.signal.reason);
          reject(call.signal.reason as Error);
        });
      });
    },
  });
  return { engine, begun: begun.promise, stopped: stopped.promise };
}

describe('connecting', () => {
  it('registers, leaves, joins its own realm on the same connection, and says what contract 0.3 asks for, in order', async () => {
    await using manager = await startTestManager();
    await using _worker = await startWorker({ manager });
    const connection = await manager.connection();
    await connection.frame(isReady);
    const said = connection.frames.map(([type, a, b, c, , kwargs]) =>
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
            extensions: ['log-batch', 'cancel', 'registry-auth', 'digests-by-tag'],
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
    expect(worker.log().match(/not connected; trying again/g)).toHaveLength(4);
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

  it('leaves with GOODBYE when it is asked to', async () => {
    await using manager = await startTestManager();
    await using worker = await startWorker({ manager });
    const connection = await manager.connection();
    await worker.logged('worker is ready');
    worker.leave();
    expect(await worker.ended).toBe('left');
    expect(connection.frames.at(-1)?.[0]).toBe(6);
  });
});

describe('building', () => {
  it('answers with the image and its digests, walks the phases, and takes the next build', async () => {
    await using manager = await startTestManager();
    await using worker = await startWorker({ manager });
    const connection = await manager.connection();
    await connection.frame(isReady);
    for (let n = 0; n < 2; n += 1) {
      const { error, kwargs } = await connection.build({ ...someBuild, tag_names: ['latest', 'v1'] });
      expect(error).toBeNull();
      expect(kwargs).toEqual({ image_id: 'sha256:image', digests: [`127.0.0.1:5055/team/app@${DIGEST}`] });
    }
    const once = ['unpacking', 'pulling', 'checking-cache', 'building', 'pushing'];
    expect(phasesOf(connection)).toEqual([...once, ...once]);
    expect(await readdir(worker.workDirectory)).toEqual(['key']);
  });

  it('takes a build that comes before `ready` is answered', async () => {
    let answered: Promise<unknown> | undefined;
    await using manager = await startTestManager({
      onCall: (uri, _kwargs, connection) => {
        if (uri === READY) answered = connection.build(someBuild);
        return undefined;
      },
    });
    await using _worker = await startWorker({ manager });
    const connection = await manager.connection();
    await connection.frame(([type]) => type === 70);
    expect(await answered).toMatchObject({ error: null });
  });

  it('runs one build and leaves, when it is hosted', async () => {
    await using manager = await startTestManager();
    await using worker = await startWorker({ manager, realm: 'one-build', token: 'TOKEN' });
    const connection = await manager.connection();
    await connection.frame(isReady);
    expect((await connection.build(someBuild)).error).toBeNull();
    expect(await worker.ended).toBe('left');
  });

  it('ends as lost when it is hosted and loses its manager', async () => {
    const { engine, begun, stopped } = endlessEngine();
    await using manager = await startTestManager();
    await using worker = await startWorker({ manager, engine, realm: 'one-build', token: 'TOKEN' });
    const connection = await manager.connection();
    await connection.frame(isReady);
    connection.build(someBuild).catch(() => undefined);
    await begun;
    connection.socket.terminate();
    await stopped;
    expect(await worker.ended).toBe('lost');
  });

  it('refuses a second build while one runs, and goes on with the first', async () => {
    const { engine, begun } = endlessEngine();
    await using manager = await startTestManager({ extensions: ['cancel'] });
    await using _worker = await startWorker({ manager, engine });
    const connection = await manager.connection();
    await connection.frame(isReady);
    const first = connection.build(someBuild);
    await begun;
    expect(await connection.build(someBuild)).toMatchObject({
      error: 'io.quay.builder.internalerror',
      kwargs: { base_error: 'This worker is busy with another build.' },
    });
    connection.publish('io.quay.builder.cancel', { reason: 'cancelled' });
    expect((await first).error).toBe('io.quay.builder.clientrejectedtransition');
  });

  it('names what is wrong in its arguments, and never a value', async () => {
    await using manager = await startTestManager();
    await using _worker = await startWorker({ manager });
    const connection = await manager.connection();
    await connection.frame(isReady);
    const { repository: _, ...rest } = someBuild;
    const { error, kwargs } = await connection.build({ ...rest, tag_names: ['sesame!'], push_token: 7 });
    expect(error).toBe('io.quay.builder.missingorinvalidargument');
    expect(kwargs['base_error']).toMatch(/repository: .*push_token: .*tag_names\.0: must be a tag/);
    expect(kwargs['base_error']).not.toContain('sesame');
    expect((await connection.build({ ...someBuild, build_package: '' })).kwargs['base_error']).toBe(
      'build_package or git: one of them is needed',
    );
    expect((await connection.build(someBuild)).error).toBeNull();
  });

  it('stops the build, cleans up and registers anew when its manager is lost', async () => {
    const { engine, begun, stopped } = endlessEngine();
    const untagged: string[] = [];
    engine.untag = (reference) => {
      untagged.push(reference);
      return Promise.resolve();
    };
    await using manager = await startTestManager();
    await using worker = await startWorker({ manager, engine });
    const connection = await manager.connection();
    await connection.frame(isReady);
    connection.build(someBuild).catch(() => undefined);
    await begun;
    connection.socket.terminate();
    await stopped;
    await (await manager.connection()).frame(isReady);
    expect(untagged).toEqual([expect.stringMatching(/^quay-builder-[0-9a-f-]{36}:build$/)]);
    expect(await readdir(worker.workDirectory)).toEqual(['key']);
  });

  it('finishes the running build before it leaves, and answers a new one with an error', async () => {
    const begun = Promise.withResolvers<undefined>();
    const finish = Promise.withResolvers<{ imageId: string }>();
    const engine = calmEngine({
      build: () => {
        begun.resolve(undefined);
        return finish.promise;
      },
    });
    await using manager = await startTestManager();
    await using worker = await startWorker({ manager, engine });
    const connection = await manager.connection();
    await connection.frame(isReady);
    const first = connection.build(someBuild);
    await begun.promise;
    worker.leave();
    finish.resolve({ imageId: 'sha256:late' });
    expect((await first).kwargs['image_id']).toBe('sha256:late');
    expect(await worker.ended).toBe('left');
  });
});

describe('phases and log lines', () => {
  it('ends with clientrejectedtransition when a phase is answered with false', async () => {
    await using manager = await startTestManager({
      onCall: (uri, { phase }) => (uri === LOG && phase === 'checking-cache' ? false : undefined),
    });
    await using _worker = await startWorker({ manager });
    const connection = await manager.connection();
    await connection.frame(isReady);
    expect((await connection.build(someBuild)).error).toBe('io.quay.builder.clientrejectedtransition');
    expect(phasesOf(connection)).toEqual(['unpacking', 'pulling', 'checking-cache']);
  });

  it('ends with errorduringphasetransition when a phase is answered with an error', async () => {
    await using manager = await startTestManager({
      onCall: (uri, { phase }) =>
        uri === LOG && phase === 'pulling' ? new Refusal('wamp.error.runtime_error') : undefined,
    });
    await using _worker = await startWorker({ manager });
    const connection = await manager.connection();
    await connection.frame(isReady);
    expect((await connection.build(someBuild)).error).toBe('io.quay.builder.errorduringphasetransition');
  });

  it('builds on when a log line is answered with an error', async () => {
    const engine = calmEngine({
      build: async (_build, { onMessage }) => {
        for (let n = 1; n <= 5; n += 1) await onMessage({ stream: `line ${n}\n` });
        return { imageId: 'sha256:image' };
      },
    });
    await using manager = await startTestManager({
      onCall: (uri, { json_data: data }) =>
        uri === LOG && String(data).includes('line') ? new Refusal('wamp.error.runtime_error') : undefined,
    });
    await using _worker = await startWorker({ manager, engine });
    const connection = await manager.connection();
    await connection.frame(isReady);
    expect((await connection.build(someBuild)).error).toBeNull();
    expect(connection.calls(LOG).filter(({ json_data: data }) => String(data).includes('line'))).toHaveLength(
      5,
    );
  });

  it.each([
    ['a log line is answered with false', [] as string[]],
    ['a batch of them is', ['log-batch']],
  ])('stops the engine when %s', async (_what, extensions) => {
    const { engine, begun, stopped } = endlessEngine();
    await using manager = await startTestManager({
      extensions,
      onCall: (uri, kwargs) => {
        if (uri === LOG) return !String(kwargs['json_data']).includes('hello');
        return uri === 'io.quay.builder.logbatch' ? !JSON.stringify(kwargs).includes('hello') : undefined;
      },
    });
    await using _worker = await startWorker({ manager, engine });
    const connection = await manager.connection();
    await connection.frame(isReady);
    const answer = connection.build(someBuild);
    void (await begun).onMessage({ stream: 'hello\n' });
    expect(await stopped).toMatchObject({ code: 'clientrejectedtransition' });
    expect((await answer).error).toBe('io.quay.builder.clientrejectedtransition');
  });

  it('sends lines in order, without waiting for each answer, up to a window', async () => {
    const held: (() => void)[] = [];
    const full = Promise.withResolvers<undefined>();
    const engine = calmEngine({
      build: async (_build, { onMessage }) => {
        for (let n = 0; n < 200; n += 1) await onMessage({ stream: `line ${n}\n` });
        return { imageId: 'sha256:image' };
      },
    });
    await using manager = await startTestManager({
      onCall: (uri, { json_data: data }, connection) => {
        if (uri !== LOG || !String(data).includes('line')) return undefined;
        const request = connection.frames.at(-1)?.[1];
        held.push(() => connection.send([50, request, {}, [true]]));
        if (held.length === 64) full.resolve(undefined);
        return SILENCE;
      },
    });
    await using _worker = await startWorker({ manager, engine });
    const connection = await manager.connection();
    await connection.frame(isReady);
    const answer = connection.build(someBuild);
    await full.promise;
    await connection.frame(() => connection.frames.filter(([type]) => type === 16).length >= 3);
    expect(held).toHaveLength(64);
    let released = 0;
    const timer = setInterval(() => {
      for (; released < held.length; released += 1) held[released]?.();
    });
    expect((await answer).error).toBeNull();
    clearInterval(timer);
    const lines = connection.calls(LOG).map(({ json_data: data }) => /line (\d+)/.exec(String(data))?.[1]);
    expect(lines.filter((line) => line !== undefined).map(Number)).toEqual([...Array(200).keys()]);
  });

  it('sends batches, in order and numbered, where the manager takes them', async () => {
    const engine = calmEngine({
      build: async (_build, { onMessage }) => {
        for (let n = 0; n < 3000; n += 1) await onMessage({ stream: `line ${n}\n` });
        return { imageId: 'sha256:image' };
      },
    });
    await using manager = await startTestManager({ extensions: ['log-batch', 'digests-by-tag'] });
    await using _worker = await startWorker({ manager, engine });
    const connection = await manager.connection();
    await connection.frame(isReady);
    expect((await connection.build(someBuild)).kwargs).toMatchObject({ digests_by_tag: { latest: DIGEST } });
    expect(connection.calls(LOG)).toEqual([]);
    const batches = connection.calls('io.quay.builder.logbatch') as unknown as {
      sequence: number;
      messages: { phase: string; json_data: string; time: number }[];
    }[];
    let expected = 1;
    for (const { sequence, messages } of batches) {
      expect(sequence).toBe(expected);
      expected += messages.length;
    }
    expect(batches.length).toBeLessThan(100);
    const lines = batches
      .flatMap(({ messages }) => messages)
      .map(({ json_data: data }) => /line (\d+)/.exec(data)?.[1]);
    expect(lines.filter((line) => line !== undefined).map(Number)).toEqual([...Array(3000).keys()]);
  });

  it('sends a refused batch again under the same number', async () => {
    let refused = 0;
    await using manager = await startTestManager({
      extensions: ['log-batch'],
      onCall: (uri) =>
        uri === 'io.quay.builder.logbatch' && (refused += 1) === 1
          ? new Refusal('wamp.error.runtime_error')
          : undefined,
    });
    await using _worker = await startWorker({ manager });
    const connection = await manager.connection();
    await connection.frame(isReady);
    expect((await connection.build(someBuild)).error).toBeNull();
    const [first, second] = connection.calls('io.quay.builder.logbatch');
    expect(second).toEqual(first);
  });
});
