import { setTimeout } from 'node:timers/promises';
import { startBareWorker, type BareWorker } from '../../lab/bare-worker.ts';
import type { LogBatch } from '../../src/contract/extensions.ts';
import { managerProcedures } from '../../src/contract/uris.ts';
import { BATCH_AFTER_MS, LOG_QUEUE_MAX } from '../../src/worker/limits.ts';
import type { WorkersReply, WorkersRequest } from './messages.ts';

/**
 * A process of workers that speak the protocol as ours do, and build nothing: each prints lines, gathers them for as long as ours does, and
 * has one batch under way.
 */

interface Streaming {
  readonly worker: BareWorker;
  readonly end: () => void;
  readonly waiting: LogBatch['messages'];
  printed: number;
  sent: number;
}

const TICK_MS = 2;
const workers: BareWorker[] = [];
const streams: Streaming[] = [];

function now(): number {
  return performance.timeOrigin + performance.now();
}

async function connect(url: string, count: number): Promise<void> {
  for (let slot = 0; slot < count; slot += 1) {
    workers.push(
      await startBareWorker({
        url,
        hello: {
          worker: { id: 'bench', slot, slots: count, labels: {}, kinds: ['image'] },
          extensions: ['log-batch'],
        },
        onBuild: (_kwargs, worker) =>
          new Promise((resolve) => {
            const end = (): void =>
              resolve({ error: 'io.quay.builder.builderror', kwargs: { base_error: 'measured' } });
            streams.push({ worker, end, waiting: [], printed: 0, sent: 0 });
          }),
      }),
    );
  }
}

/** Prints the lines that are due by now, those of some builds at each tick as if they had begun at any time. */
function print(begun: number, linesASecond: number): void {
  const time = now();
  for (const [index, stream] of streams.entries()) {
    const due = ((time - begun) / 1000) * linesASecond - index / streams.length;
    while (stream.printed < due) {
      const text = `line ${stream.printed} ${time.toFixed(2)} of a step that says a little on each\n`;
      stream.waiting.push({
        phase: 'building',
        json_data: JSON.stringify({ stream: text }),
        time: Math.floor(time),
      });
      stream.printed += 1;
    }
  }
}

async function deliver(stream: Streaming, isOver: () => boolean): Promise<void> {
  while (!isOver() || stream.waiting.length > 0) {
    await setTimeout(BATCH_AFTER_MS);
    if (stream.waiting.length === 0) continue;
    const batch: LogBatch = {
      sequence: stream.sent + 1,
      messages: stream.waiting.splice(0, LOG_QUEUE_MAX),
    };
    const answer = await stream.worker.call(managerProcedures.logBatch, { ...batch });
    if (answer !== true) throw new Error(`a batch of log was answered with ${String(answer)}`);
    stream.sent += batch.messages.length;
  }
  stream.end();
}

async function streamAll(linesASecond: number, milliseconds: number): Promise<number> {
  while (streams.length < workers.length) await setTimeout(TICK_MS);
  const begun = now();
  let isOver = false;
  const printing = setInterval(() => print(begun, linesASecond), TICK_MS);
  const delivered = Promise.all(
    streams.map(async (stream, index) => {
      await setTimeout((index / streams.length) * BATCH_AFTER_MS);
      await deliver(stream, () => isOver);
    }),
  );
  await setTimeout(milliseconds);
  clearInterval(printing);
  isOver = true;
  await delivered;
  return streams.reduce((sum, { sent }) => sum + sent, 0);
}

process.on('message', (message: WorkersRequest) => {
  const done =
    message.type === 'connect'
      ? connect(message.url, message.workers).then(() => 0)
      : streamAll(message.linesASecond, message.milliseconds);
  void done.then((lines) => process.send?.({ lines } satisfies WorkersReply));
});
process.on('disconnect', () => process.exit());
