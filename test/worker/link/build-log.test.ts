import { expect, it } from 'vitest';
import { calmEngine, DIGEST, endlessEngine, someBuild, startWorker } from '../harness.ts';
import { isReady, LOG, LOG_BATCH, phasesOf, Refusal, SILENCE, startTestManager } from '../test-manager.ts';

/** How phases and log lines reach the manager, one by one and in batches (contract 0.3, "A build, as phases"). */

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
  await using worker = await startWorker({ manager, engine });
  const connection = await manager.connection();
  await connection.frame(isReady);
  expect((await connection.build(someBuild)).error).toBeNull();
  expect(connection.calls(LOG).filter(({ json_data: data }) => String(data).includes('line'))).toHaveLength(
    5,
  );
  const told = [...worker.log().matchAll(/"messages":(\d+).*log lines were lost/g)];
  expect(told.reduce((sum, [, messages]) => sum + Number(messages), 0)).toBe(5);
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
      return uri === LOG_BATCH ? !JSON.stringify(kwargs).includes('hello') : undefined;
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

it('sends lines in order and one at a time to a manager that takes no batches', async () => {
  let underWay = 0;
  let most = 0;
  const engine = calmEngine({
    build: async (_build, { onMessage }) => {
      await Promise.all(Array.from({ length: 200 }, async (_, n) => onMessage({ stream: `line ${n}\n` })));
      return { imageId: 'sha256:image' };
    },
  });
  await using manager = await startTestManager({
    onCall: (uri, _kwargs, connection) => {
      if (uri !== LOG) return undefined;
      const request = connection.frames.at(-1)?.[1];
      underWay += 1;
      most = Math.max(most, underWay);
      setImmediate(() => {
        underWay -= 1;
        connection.send([50, request, {}, [true]]);
      });
      return SILENCE;
    },
  });
  await using _worker = await startWorker({ manager, engine });
  const connection = await manager.connection();
  await connection.frame(isReady);
  expect((await connection.build(someBuild)).error).toBeNull();
  expect(most).toBe(1);
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
  const batches = connection.calls(LOG_BATCH) as unknown as {
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
    .flatMap(({ json_data: data }) => [...data.matchAll(/line (\d+)/g)].map(([, line]) => Number(line)));
  expect(lines).toEqual([...Array(3000).keys()]);
});

it('sends a refused batch again under the same number', async () => {
  let refused = 0;
  await using manager = await startTestManager({
    extensions: ['log-batch'],
    onCall: (uri) =>
      uri === LOG_BATCH && (refused += 1) === 1 ? new Refusal('wamp.error.runtime_error') : undefined,
  });
  await using _worker = await startWorker({ manager });
  const connection = await manager.connection();
  await connection.frame(isReady);
  expect((await connection.build(someBuild)).error).toBeNull();
  const [first, second] = connection.calls(LOG_BATCH);
  expect(second).toEqual(first);
});

it('goes on with the next phases while a manager that takes batches has yet to accept them', async () => {
  const held: (() => void)[] = [];
  const begun = Promise.withResolvers<undefined>();
  const engine = calmEngine({
    build: async () => {
      begun.resolve(undefined);
      return Promise.resolve({ imageId: 'sha256:image' });
    },
  });
  await using manager = await startTestManager({
    extensions: ['log-batch'],
    onCall: (uri, _kwargs, connection) => {
      if (uri !== LOG_BATCH) return undefined;
      const request = connection.frames.at(-1)?.[1];
      held.push(() => connection.send([50, request, {}, [true]]));
      void begun.promise.then(() => held.splice(0).forEach((answer) => answer()));
      return SILENCE;
    },
  });
  await using _worker = await startWorker({ manager, engine });
  const connection = await manager.connection();
  await connection.frame(isReady);
  expect((await connection.build(someBuild)).error).toBeNull();
});

it.each([
  ['is answered with false', false, 'clientrejectedtransition'],
  ['cannot be reported', new Refusal('wamp.error.runtime_error'), 'errorduringphasetransition'],
])('pushes nothing when a phase in a batch %s', async (_what, answer, code) => {
  let pushed = 0;
  const engine = calmEngine({
    push: () => {
      pushed += 1;
      return Promise.resolve({ digest: DIGEST });
    },
  });
  await using manager = await startTestManager({
    extensions: ['log-batch'],
    onCall: (uri, kwargs) =>
      uri === LOG_BATCH && JSON.stringify(kwargs).includes('"pushing"') ? answer : undefined,
  });
  await using _worker = await startWorker({ manager, engine });
  const connection = await manager.connection();
  await connection.frame(isReady);
  expect((await connection.build(someBuild)).error).toBe(`io.quay.builder.${code}`);
  expect(pushed).toBe(0);
});
