import { randomInt, randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, connect, type Socket } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { EngineMessage } from '../../../src/contract/log-messages.ts';
import type { EngineCall, ImageBuild } from '../../../src/worker/engine/engine.ts';

/** A call that keeps what the engine says. */
export interface RecordedCall extends EngineCall {
  readonly messages: EngineMessage[];
  /** What was printed, as one text. */
  output(): string;
  /** Resolves when `text` was printed. */
  printed(text: string): Promise<void>;
}

export function recordCall(signal: AbortSignal = new AbortController().signal): RecordedCall {
  const messages: EngineMessage[] = [];
  const watchers = new Set<() => void>();
  const output = (): string => messages.map(({ stream }) => stream ?? '').join('');
  return {
    signal,
    messages,
    output,
    onMessage(message) {
      messages.push(message);
      for (const watch of watchers) watch();
    },
    printed: (text) =>
      new Promise((resolve) => {
        const look = (): void => {
          if (!output().includes(text)) return;
          watchers.delete(look);
          resolve();
        };
        watchers.add(look);
        look();
      }),
  };
}

/** Everything that comes. */
export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** A folder with these files, by their paths, and a clean end. */
export async function makeContext(
  files: Readonly<Record<string, string | Uint8Array>>,
): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'engine-test-'));
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(path, name)), { recursive: true });
    await writeFile(join(path, name), content);
  }
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** A build of this context under a name that no other has. */
export function buildOf(contextDirectory: string, more: Partial<ImageBuild> = {}): ImageBuild {
  return {
    contextDirectory,
    dockerfile: join(contextDirectory, 'Dockerfile'),
    reference: `quay-build/${randomUUID()}:test`,
    cacheFrom: [],
    pull: false,
    credentials: new Map(),
    buildArgs: {},
    target: '',
    platform: '',
    limits: {},
    network: 'default',
    labels: {},
    secrets: new Map(),
    sshAgents: new Map(),
    sharedKey: randomUUID(),
    ...more,
  };
}

/** A number of seconds without an end for a test, which no other process of this machine sleeps for. */
export function endless(): string {
  return String(randomInt(100_000, 1_000_000_000));
}

/** Whether a process with this argument runs on this machine, in a container or not. */
export async function runs(argument: string): Promise<boolean> {
  return (await processesWith(argument)).length > 0;
}

/** Ends the sleep that has this argument, and not the shell that waits for it. */
export async function stop(seconds: string): Promise<void> {
  for (const pid of await processesWith(seconds)) process.kill(pid, 'SIGKILL');
}

async function processesWith(argument: string): Promise<number[]> {
  const found: number[] = [];
  for (const id of await readdir('/proc')) {
    if (!/^\d+$/.test(id)) continue;
    const line = await readFile(`/proc/${id}/cmdline`, 'utf8').catch(() => '');
    if (line.split('\0').includes(argument)) found.push(Number(id));
  }
  return found;
}

export interface Wire extends AsyncDisposable {
  readonly dockerHost: string;
  /** Bytes that went to the engine. */
  sent(): number;
  /** Breaks the connections over which the engine calls back. */
  cutSessions(): void;
  /** Resolves when no connection is open. */
  quiet(): Promise<void>;
}

/** A socket that leads to the engine's, and knows what passes. */
export async function tapWire(engineSocket: string): Promise<Wire> {
  const directory = await mkdtemp(join(tmpdir(), 'engine-wire-'));
  const path = join(directory, 'docker.sock');
  const open = new Set<Socket>();
  const sessions = new Set<Socket>();
  const watchers = new Set<() => void>();
  let sent = 0;
  const server = createServer({ allowHalfOpen: true }, (client) => {
    const engine = connect({ path: engineSocket, allowHalfOpen: true });
    open.add(client);
    client.on('data', (data) => (sent += data.length));
    client.once('data', (data) => {
      if (data.toString().startsWith('POST /session')) sessions.add(client);
    });
    client.pipe(engine).pipe(client);
    client.on('error', () => engine.destroy());
    engine.on('error', () => client.destroy());
    engine.on('close', () => client.destroy());
    client.on('close', () => {
      engine.destroy();
      open.delete(client);
      for (const watch of watchers) watch();
    });
  }).listen(path);
  await once(server, 'listening');
  return {
    dockerHost: `unix://${path}`,
    sent: () => sent,
    cutSessions: () => {
      for (const session of sessions) session.destroy();
    },
    quiet: () =>
      new Promise((resolve) => {
        const look = (): void => {
          if (open.size > 0) return;
          watchers.delete(look);
          resolve();
        };
        watchers.add(look);
        look();
      }),
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy();
      server.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
