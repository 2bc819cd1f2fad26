import fc from 'fast-check';
import { expect, test } from 'vitest';
import { EngineError } from '../../../src/worker/engine/engine.ts';
import { errorOf, followMessages, logMessageOf, readMessages } from '../../../src/worker/engine/messages.ts';
import { collect, recordCall } from './support.ts';

/** The text in pieces of these sizes. */
function* pieces(text: string, sizes: readonly number[]): Generator<Buffer> {
  const bytes = Buffer.from(text);
  let at = 0;
  for (const size of sizes) {
    yield bytes.subarray(at, at + size);
    at += size;
  }
  yield bytes.subarray(at);
}

async function* stream(chunks: Iterable<Buffer>, failure?: Error): AsyncGenerator<Buffer> {
  for (const chunk of chunks) yield await Promise.resolve(chunk);
  if (failure) throw failure;
}

test('reads messages however the stream is cut', async () => {
  const text =
    '{"stream":"grün\\n"}\r\n\n{"status":"Pushing","id":"a","progressDetail":{"current":1,"total":2}}\n{"aux":{"ID":"x"}}';
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(20)), async (sizes) => {
      expect(await collect(readMessages(stream(pieces(text, sizes))))).toEqual([
        { stream: 'grün\n' },
        { status: 'Pushing', id: 'a', progressDetail: { current: 1, total: 2 } },
        { aux: { ID: 'x' } },
      ]);
    }),
  );
});

test.each(['not json', '{"stream":1}', '[]', '{"stream":"cut short'])(
  '%s is an error, not a crash',
  async (text) => {
    await expect(collect(readMessages(stream([Buffer.from(text)])))).rejects.toMatchObject({
      name: 'EngineError',
      kind: 'failed',
    });
  },
);

test('refuses a message that has no end', async () => {
  const endless = function* (): Generator<Buffer> {
    for (;;) yield Buffer.alloc(100, 'x');
  };
  await expect(collect(readMessages(stream(endless()), 1000))).rejects.toThrow('more than 1000 bytes');
});

test('any bytes are messages or an EngineError', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.uint8Array()), async (chunks) => {
      try {
        await collect(readMessages(stream(chunks.map((chunk) => Buffer.from(chunk)))));
      } catch (error) {
        expect(error).toBeInstanceOf(EngineError);
      }
    }),
  );
});

test('an error says what the engine said, or its code', () => {
  expect(errorOf({ errorDetail: { message: 'it broke', code: 7 }, error: 'older words' })).toBe('it broke');
  expect(errorOf({ error: 'older words' })).toBe('older words');
  expect(errorOf({ errorDetail: { message: '', code: 7 } })).toBe('exit code: 7');
  expect(errorOf({ stream: 'all is well' })).toBeNull();
});

test('the log gets what the contract names, and nothing else', () => {
  expect(logMessageOf({ aux: { ID: 'x' } })).toBeNull();
  expect(logMessageOf({ status: 's', id: 'i', progress: 'p', progressDetail: {}, aux: 1 })).toEqual({
    status: 's',
    id: 'i',
    progress: 'p',
    progressDetail: {},
  });
});

test('a connection that breaks is an engine that is unreachable', async () => {
  const broken = Object.assign(new Error('aborted'), { code: 'ECONNRESET' });
  await expect(
    followMessages(stream([Buffer.from('{"stream":"a"}\n')], broken), recordCall(), () => undefined),
  ).rejects.toMatchObject({ kind: 'unreachable' });
});

test('an aborted call ends with its reason, whatever the stream says', async () => {
  const controller = new AbortController();
  const lines = Array.from({ length: 3 }, () => Buffer.from('{"stream":"a"}\n'));
  let seen = 0;
  await expect(
    followMessages(stream(lines), recordCall(controller.signal), () => {
      seen += 1;
      controller.abort(new Error('told to stop'));
    }),
  ).rejects.toThrow('told to stop');
  expect(seen).toBe(1);
});

test('the engine waits while the reader has not taken a message', async () => {
  const order: string[] = [];
  const chunks = function* (): Generator<Buffer> {
    for (const name of ['a', 'b']) {
      order.push(`sent ${name}`);
      yield Buffer.from(`{"stream":"${name}"}\n`);
    }
  };
  await followMessages(stream(chunks()), recordCall(), async ({ stream: name = '' }) => {
    await Promise.resolve();
    order.push(`took ${name}`);
  });
  expect(order).toEqual(['sent a', 'took a', 'sent b', 'took b']);
});
