import {
  connect,
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type OutgoingHttpHeaders,
} from 'node:http2';
import { duplexPair } from 'node:stream';
import { openSession } from '../../../src/worker/engine/buildkit/session.ts';
import type { GrpcHandler } from '../../../src/worker/engine/buildkit/grpc.ts';
import { packet, type Packet } from '../../../src/worker/engine/buildkit/protobuf.ts';
import { readGrpcMessages } from '../../../src/worker/engine/buildkit/grpc.ts';

/** The engine's end of a session, for what a real engine would never do. */
export interface FakeEngine extends Disposable {
  readonly client: ClientHttp2Session;
  /** Begins a call; what it sends and when is the caller's. */
  begin(path: string, headers?: OutgoingHttpHeaders): FakeCall;
}

export interface FakeCall {
  readonly stream: ClientHttp2Stream;
  send(message: Uint8Array): void;
  /** What comes back. */
  readonly messages: AsyncGenerator<Buffer, void, void>;
  /** Resolves with the call's status once it is over. */
  readonly status: Promise<{ code: number; message: string }>;
}

export async function openFakeEngine(
  services: Iterable<readonly [string, GrpcHandler]>,
): Promise<FakeEngine> {
  const [ours, theirs] = duplexPair();
  const session = await openSession(
    {
      name: 'fake',
      upgrade: () => Promise.resolve(ours),
      request: () => Promise.reject(new Error('this engine only has sessions')),
    },
    { sharedKey: '', handlers: new Map(services), signal: new AbortController().signal },
  );
  const client = connect('http://session', {
    createConnection: () => theirs,
    maxSendHeaderBlockLength: 1024 * 1024,
  });
  client.on('error', () => undefined);
  return {
    client,
    begin(path, headers = {}) {
      const stream = client.request(
        { ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers', ...headers },
        { endStream: false },
      );
      stream.on('error', () => undefined);
      const status = statusOf(stream);
      return {
        stream,
        send: (message) => stream.write(frame(message)),
        messages: readGrpcMessages(stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>),
        status,
      };
    },
    [Symbol.dispose]() {
      session?.close();
      client.destroy();
    },
  };
}

export function frame(message: Uint8Array): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

async function statusOf(stream: ClientHttp2Stream): Promise<{ code: number; message: string }> {
  const { promise, resolve } = Promise.withResolvers<{ code: number; message: string }>();
  const read = (headers: Record<string, unknown>): void => {
    if (headers['grpc-status'] === undefined) return;
    resolve({
      code: Number(headers['grpc-status']),
      message: decodeURIComponent(text(headers['grpc-message'])),
    });
  };
  stream.on('response', read).on('trailers', read);
  stream.on('close', () => resolve({ code: -1, message: 'the stream was closed without a status' }));
  return promise;
}

/** What a receiver of a context gets: the list, and the content of the files it asks for. */
export interface ReceivedTree {
  readonly stats: { path: string; mode: number; size: number; linkName: string }[];
  readonly contents: Map<string, string>;
}

/** Asks for a whole directory as BuildKit does, each file as soon as it is listed. */
export async function receiveTree(call: FakeCall): Promise<ReceivedTree> {
  const stats: ReceivedTree['stats'] = [];
  const pieces = new Map<number, Buffer[]>();
  const contents = new Map<string, string>();
  let listed = false;
  const finishWhenDone = (): void => {
    if (listed && contents.size === pieces.size) call.send(packet.encode({ type: 3 }));
  };
  for await (const bytes of call.messages) {
    const { type, stat, id, data }: Packet = packet.decode(bytes);
    if (type === 0 && stat) {
      const mode = stat.mode ?? 0;
      const linkName = Buffer.from(stat.linkName ?? []).toString();
      const path = Buffer.from(stat.path ?? []).toString();
      stats.push({ path, mode, size: stat.size?.low ?? 0, linkName });
      if (mode < 2 ** 24 && linkName === '') {
        pieces.set(stats.length - 1, []);
        call.send(packet.encode({ type: 1, id: stats.length - 1 }));
      }
    } else if (type === 0) {
      listed = true;
      finishWhenDone();
    } else if (type === 2 && data.length > 0) pieces.get(id)?.push(Buffer.from(data));
    else if (type === 2) {
      contents.set(stats[id]?.path ?? '', Buffer.concat(pieces.get(id) ?? []).toString());
      finishWhenDone();
    }
  }
  return { stats, contents };
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
