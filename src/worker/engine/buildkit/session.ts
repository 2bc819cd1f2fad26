import { randomUUID } from 'node:crypto';
import { performServerHandshake, type ServerHttp2Session } from 'node:http2';
import type { Duplex } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { withDeadline } from '../deadline.ts';
import { EngineError } from '../engine.ts';
import { unreachable } from '../errors.ts';
import { limits } from '../limits.ts';
import type { Transport } from '../transport.ts';
import { serveCall, type GrpcHandler } from './grpc.ts';

/**
 * A BuildKit session: a connection over which the engine calls us, while a build runs, for what only the client has. The
 * engine learns of the methods when the session begins, so the table of services is whole by then.
 */
export interface Session {
  readonly id: string;
  /** Ends every call and the connection. */
  close(): void;
}

interface SessionOptions {
  /** What tells whose copy of a context the engine may compare ours with; secret. */
  readonly sharedKey: string;
  readonly handlers: ReadonlyMap<string, GrpcHandler>;
  readonly signal: AbortSignal;
}

/** Opens a session; null when the engine has none to offer (Podman, and a Docker before 18.09). */
export async function openSession(
  transport: Transport,
  { sharedKey, handlers, signal }: SessionOptions,
): Promise<Session | null> {
  const id = randomUUID();
  const socket = await upgrade(transport, signal, {
    'X-Docker-Expose-Session-Uuid': id,
    'X-Docker-Expose-Session-Name': 'quay-builder',
    'X-Docker-Expose-Session-Sharedkey': sharedKey,
    'X-Docker-Expose-Session-Grpc-Method': [...handlers.keys()],
  });
  if (socket === null) return null;

  const session: ServerHttp2Session = performServerHandshake(socket, {
    maxHeaderListPairs: limits.grpcHeaders,
    settings: { maxHeaderListSize: limits.grpcHeaderBytes },
  });
  // A connection that breaks ends the build on the engine's side, which says so in the build's own stream.
  socket.on('error', () => undefined);
  session.on('error', () => undefined);
  session.on('stream', (stream, headers, _flags, rawHeaders) => {
    void serveCall(stream, headers, rawHeaders, handlers);
  });
  // node reads what the socket holds already on its next tick, and falls over a session that was destroyed before that.
  await setImmediate();
  return {
    id,
    close() {
      session.destroy();
      socket.destroy();
    },
  };
}

/** Whether the engine has sessions to offer: opens one that serves nothing, and lets it go. */
export async function hasSessions(transport: Transport, signal: AbortSignal): Promise<boolean> {
  const socket = await upgrade(transport, signal, { 'X-Docker-Expose-Session-Uuid': randomUUID() });
  socket?.destroy();
  return socket !== null;
}

async function upgrade(
  transport: Transport,
  signal: AbortSignal,
  headers: Readonly<Record<string, string | readonly string[]>>,
): Promise<Duplex | null> {
  try {
    return await withDeadline(signal, (bounded) =>
      transport.upgrade({
        method: 'POST',
        path: '/session',
        headers: { Connection: 'Upgrade', Upgrade: 'h2c', ...headers },
        signal: bounded,
      }),
    );
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    if (error instanceof EngineError) throw error;
    throw unreachable(transport.name, error);
  }
}
