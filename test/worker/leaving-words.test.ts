import { expect, it } from 'vitest';
import type { EngineMessage } from '../../src/contract/log-messages.ts';
import type { Engine, EngineCall } from '../../src/worker/engine/engine.ts';
import { calmEngine, DIGEST, fastClock, someBuild, startWorker } from './harness.ts';
import {
  isReady,
  LOG,
  LOG_BATCH,
  Refusal,
  SILENCE,
  startTestManager,
  type Behaviour,
} from './test-manager.ts';

/** What of a build's words reaches its manager, whatever the build says and however the manager takes it. */

const HEARTBEAT = 'io.quay.builder.heartbeat';
const ways: [way: string, extensions: string[]][] = [
  ['line by line', []],
  ['in batches', ['log-batch']],
];

type Say = (onMessage: EngineCall['onMessage']) => Promise<void>;

/** An engine that says this while it builds, and then succeeds. */
function talking(say: Say): Engine {
  return calmEngine({
    build: async (_build, { onMessage }) => {
      await say(onMessage);
      return { imageId: 'sha256:image' };
    },
  });
}

/** Everything that the worker sent while it built. */
async function frames(engine: Engine, behaviour: Behaviour, clock = fastClock): Promise<string> {
  await using manager = await startTestManager(behaviour);
  await using _worker = await startWorker({ manager, engine, clock });
  const connection = await manager.connection();
  await connection.frame(isReady);
  expect((await connection.build(someBuild)).error).toBeNull();
  return JSON.stringify(connection.frames);
}

it.each(ways)('a secret that comes in pieces is masked, sent %s', async (_way, extensions) => {
  const secret = someBuild.push_token;
  const text = `a ${secret}\nand https://me:${secret}@host/ again ${secret} and ${secret.slice(0, -1)}`;
  const engine = talking(async (onMessage) => {
    for (const stream of text.split('')) await onMessage({ stream });
    await onMessage({ status: `a status of ${secret}`, id: secret });
    // Longer than a status may be: cut in the middle of a secret.
    await onMessage({ status: 'line\n'.repeat(6552) + `xxx${secret}${'x'.repeat(100)}` });
  });
  const sent = await frames(engine, { extensions });
  expect(sent).not.toContain(secret);
  expect(sent).not.toContain(`xxx${secret.slice(0, 4)}`);
  expect(sent).toContain('***');
  // Not a secret: the end of the text shows that it was none.
  expect(sent).toContain(secret.slice(0, -1));
});

it.each(ways)('a line without an end is cut with a mark, sent %s', async (_way, extensions) => {
  const engine = talking(async (onMessage) => {
    for (let n = 0; n < 100; n += 1) await onMessage({ stream: 'x'.repeat(10_000) });
    await onMessage({ stream: '\nafter\n' });
  });
  const sent = await frames(engine, { extensions });
  expect(sent).toContain('…[line cut after 16384 characters]');
  expect(sent).toContain('after');
  expect(sent.length).toBeLessThan(40_000);
});

it.each(ways)('a push of 2 GB shows that it moves, and makes no flood, sent %s', async (_way, extensions) => {
  const layers = Array.from({ length: 20 }, (_, layer) => `layer-${layer}`);
  const total = 100_000_000;
  const engine = calmEngine({
    push: async (_repository, _tag, _credentials, { onMessage }) => {
      for (let current = 0; current <= total; current += 100_000) {
        for (const id of layers)
          await onMessage({ id, status: 'Pushing', progressDetail: { current, total } });
      }
      for (const id of layers) await onMessage({ id, status: 'Pushed' });
      return { digest: DIGEST };
    },
  });
  // No time passes: a layer is told of for its bytes alone, however long the machine takes.
  const sent = await frames(engine, { extensions }, { ...fastClock, now: () => 0 });
  expect(sent.match(/Pushing/g)).toHaveLength(layers.length * 11);
  expect(sent.match(/Pushed/g)).toHaveLength(layers.length);
});

it.each(ways)('a log that is refused each time fails no build, sent %s', async (_way, extensions) => {
  const engine = talking(async (onMessage) => {
    for (let n = 0; n < 50; n += 1) await onMessage({ stream: `line ${n}\n` });
  });
  const isLine = (kwargs: object): boolean =>
    JSON.stringify(kwargs).includes('line ') && !JSON.stringify(kwargs).includes('status_data');
  const sent = await frames(engine, {
    extensions,
    onCall: (uri, kwargs) =>
      (uri === LOG || uri === LOG_BATCH) && isLine(kwargs)
        ? new Refusal('wamp.error.runtime_error')
        : undefined,
  });
  expect(sent).toContain('line 49');
});

it.each(ways)(
  'heartbeats go on while the manager answers no log call, and the engine waits, sent %s',
  async (_way, extensions) => {
    const waits = Promise.withResolvers<undefined>();
    const engine = talking(async (onMessage) => {
      const line: EngineMessage = { stream: `${'x'.repeat(10_000)}\n` };
      // More than is kept for a manager that does not take it.
      const all = Promise.all(Array.from({ length: 500 }, async () => onMessage(line)));
      waits.resolve(undefined);
      await all;
    });
    await using manager = await startTestManager({
      extensions,
      onCall: (uri, kwargs) =>
        (uri === LOG || uri === LOG_BATCH) && JSON.stringify(kwargs).includes('xxx') ? SILENCE : undefined,
    });
    await using _worker = await startWorker({ manager, engine });
    const connection = await manager.connection();
    await connection.frame(isReady);
    connection.build(someBuild).catch(() => undefined);
    await waits.promise;
    await connection.frame(
      ([type, , , , , kwargs]) => type === 48 && JSON.stringify(kwargs ?? {}).includes('xxx'),
    );
    const beats = (): number =>
      connection.frames.filter(([type, , , uri]) => type === 16 && uri === HEARTBEAT).length;
    const before = beats();
    await connection.frame(() => beats() >= before + 5);
    connection.socket.terminate();
  },
);
