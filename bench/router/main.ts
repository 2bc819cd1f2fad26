import type { ChildProcess } from 'node:child_process';
import { ask, endChildren, startChild } from '../child.ts';
import { median } from '../row.ts';
import type { Row } from '../row.ts';
import type { ClientReply, ClientRequest, ServerMode, ServerReply, ServerRequest } from './messages.ts';

/*
 * Calls a second through the router, against a raw echo over ws of the same bytes: the text of CALL goes out, and comes
 * back. Server and load are two processes, so that on two cores neither takes the other's time. The load is one process: for
 * the echo one socket, for the router two, a caller and a callee, all raw WebSockets that parse nothing. 64 requests are in
 * flight. Echo and router take turns, in processes of their own, each after a warm-up; the figure is the median of the
 * ratios of neighbours. A call is four messages and a round trip of the echo two: a router that cost nothing would
 * come to 0.5, unless it saves system calls that the echo makes.
 *
 * Memory: resident bytes of a router's process with idle sessions, each in a realm of its own that offers a
 * procedure, over what it had before, after garbage collection.
 */

const CLIENT = new URL('./client.ts', import.meta.url);
const SERVER = new URL('./server.ts', import.meta.url);

const ROUNDS = 5;
const WARM_UP = 1_000;
const MEASURED = 1_500;
const GOAL = 0.4;
const SESSIONS_BEFORE = 200;
const IDLE_SESSIONS = 2_000;

/** Measures the router; one row for its speed, one for its memory. */
export async function benchRouter(): Promise<Row[]> {
  const echoes: number[] = [];
  const calls: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    echoes.push(await roundTrips('echo'));
    calls.push(await roundTrips('router'));
  }
  const ratio = median(calls.map((value, round) => value / (echoes[round] ?? Number.NaN)));
  return [
    {
      name: "router: calls a second, of a raw echo's round trips",
      value: ratio,
      unit: 'ratio',
      baseline: `ws echo of the same bytes, ${Math.round(median(echoes))}/s; router ${Math.round(median(calls))} calls/s; 64 in flight`,
      goal: `at least ${GOAL}`,
      met: ratio >= GOAL,
    },
    await idleMemory(),
  ];
}

async function roundTrips(mode: 'echo' | 'router'): Promise<number> {
  const [server, port] = await startServer(mode);
  const client = start(CLIENT);
  try {
    await ask<ClientReply>(client, {
      type: 'load',
      mode,
      port,
      milliseconds: WARM_UP,
    } satisfies ClientRequest);
    const done = await ask<ClientReply>(client, {
      type: 'load',
      mode,
      port,
      milliseconds: MEASURED,
    } satisfies ClientRequest);
    return done.value;
  } finally {
    await endChildren(client, server);
  }
}

async function idleMemory(): Promise<Row> {
  const [server, port] = await startServer('realms');
  const client = start(CLIENT);
  const residentWith = async (sessions: number) => {
    await ask<ClientReply>(client, { type: 'idle', port, sessions } satisfies ClientRequest);
    const reply = await ask<ServerReply>(server, { type: 'memory' } satisfies ServerRequest);
    return reply.type === 'memory' ? reply.resident : Number.NaN;
  };
  try {
    const before = await residentWith(SESSIONS_BEFORE);
    const after = await residentWith(SESSIONS_BEFORE + IDLE_SESSIONS);
    return {
      name: 'router: memory of an idle session, alone in its realm',
      value: (after - before) / IDLE_SESSIONS / 1024,
      unit: 'KiB',
      baseline: `the process with ${SESSIONS_BEFORE} sessions, ${Math.round(before / 1024 / 1024)} MiB; ${IDLE_SESSIONS} more`,
      goal: null,
      met: true,
    };
  } finally {
    await endChildren(client, server);
  }
}

function start(program: URL): ChildProcess {
  return startChild(program, ['--expose-gc']);
}

async function startServer(mode: ServerMode): Promise<[server: ChildProcess, port: number]> {
  const server = start(SERVER);
  const reply = await ask<ServerReply>(server, { type: 'listen', mode } satisfies ServerRequest);
  if (reply.type !== 'listening') throw new Error(`the server answered ${reply.type}`);
  return [server, reply.port];
}
