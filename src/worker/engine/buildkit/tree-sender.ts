import { reasonOf } from '../../../contract/reason.ts';
import type { ContextEntry } from '../context/entries.ts';
import { ContextError } from '../context/entries.ts';
import { readUnchanged } from '../context/read-file.ts';
import { goFileMode } from '../context/file-mode.ts';
import { limits } from '../limits.ts';
import type { GrpcCall } from './grpc.ts';
import { dataPacketHead, packet, packetTypes, toInt64, type Stat } from './protobuf.ts';

/**
 * Holds the sender's part of a DiffCopy:
 *
 *   we      STAT STAT STAT … STAT(nothing)        DATA DATA DATA(nothing) …              FIN, end of the call
 *   engine             REQ …              REQ REQ …                          …      FIN
 *
 * A STAT's id is its place in the list, from 0. The engine asks for files while the list still goes out; an empty DATA
 * ends a file. Either side may send ERR. Throws when the context cannot be sent, having told the engine.
 */
export async function sendTree(
  entries: AsyncIterable<ContextEntry>,
  call: Pick<GrpcCall, 'messages' | 'send'>,
): Promise<void> {
  const files = new Map<number, ContextEntry>();
  const reads = createReads((id) => {
    const entry = files.get(id);
    // Each file goes out once, so what is queued is bounded by what was listed.
    if (!files.delete(id) || !entry)
      throw new ContextError(`the engine asked for entry ${id}, which is no file`);
    return sendFile(id, entry, call);
  });

  const list = async (): Promise<void> => {
    let id = 0;
    for await (const entry of entries) {
      if (entry.kind === 'file') files.set(id, entry);
      await call.send(packet.encode({ type: packetTypes.stat, stat: statOf(entry) }));
      id += 1;
    }
    await call.send(packet.encode({ type: packetTypes.stat }));
  };
  const answer = async (): Promise<void> => {
    for await (const message of call.messages) {
      const { type, id, data } = packet.decode(message);
      if (type === packetTypes.req) reads.add(id);
      else if (type === packetTypes.fin) return;
      else if (type === packetTypes.err) {
        throw new ContextError(`the engine did not take the context: ${Buffer.from(data).toString('utf8')}`);
      }
    }
    throw new ContextError('the engine ended the call before it had the context');
  };

  try {
    await Promise.race([Promise.all([list(), answer()]), reads.failed]);
    await call.send(packet.encode({ type: packetTypes.fin }));
  } catch (error) {
    reads.stop();
    const text = Buffer.from(reasonOf(error));
    // Where the call itself is over, nobody is left to be told.
    await call.send(packet.encode({ type: packetTypes.err, data: text })).catch(() => undefined);
    throw error;
  }
}

interface Reads {
  add(id: number): void;
  /** Rejects when a read fails; never resolves. */
  readonly failed: Promise<never>;
  stop(): void;
}

/** Runs a few reads at once, the others wait in their order. */
function createReads(read: (id: number) => Promise<void>): Reads {
  const waiting: number[] = [];
  let next = 0;
  let running = 0;
  let stopped = false;
  const { promise: failed, reject } = Promise.withResolvers<never>();
  failed.catch(() => undefined);
  const work = async (): Promise<void> => {
    running += 1;
    try {
      for (let id = waiting[next++]; id !== undefined && !stopped; id = waiting[next++]) await read(id);
      next -= 1;
    } catch (error) {
      stopped = true;
      reject(error);
    }
    running -= 1;
  };
  return {
    add(id) {
      waiting.push(id);
      if (running < limits.parallelReads && !stopped) void work();
    },
    failed,
    stop() {
      stopped = true;
    },
  };
}

async function sendFile(id: number, entry: ContextEntry, call: Pick<GrpcCall, 'send'>): Promise<void> {
  for await (const piece of readUnchanged(entry)) await call.send(dataPacketHead(id, piece.length), piece);
  await call.send(packet.encode({ type: packetTypes.data, id }));
}

function statOf({ kind, path, stats, target }: ContextEntry): Partial<Stat> {
  return {
    path,
    mode: goFileMode(Number(stats.mode)),
    size: toInt64(kind === 'file' || kind === 'symlink' ? stats.size : 0n),
    modTime: toInt64(stats.mtimeNs),
    ...(target.length === 0 ? {} : { linkName: target }),
  };
}
