import { once } from 'node:events';
import { WebSocket } from 'ws';
import type { ClientReply, ClientRequest } from './messages.ts';

/** The process that makes load: raw WebSockets, which know of WAMP no more than where an id stands in a text. */

/** Requests that wait for their answer at any time. */
const IN_FLIGHT = 64;
const HELLO = '[1,"bench",{"roles":{"caller":{},"callee":{}}}]';
const PAYLOAD = '["a payload of forty characters, no more."]';

async function open(port: number): Promise<WebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/`, 'wamp.2.json', { perMessageDeflate: false });
  await once(socket, 'open');
  return socket;
}

async function join(port: number, hello = HELLO): Promise<WebSocket> {
  const socket = await open(port);
  socket.send(hello);
  await once(socket, 'message');
  return socket;
}

function callText(request: number): string {
  return `[48,${request},{},"bench.procedure",${PAYLOAD}]`;
}

/** Keeps requests in flight on a socket for some time; answers with round trips a second. */
async function roundTrips(socket: WebSocket, milliseconds: number): Promise<number> {
  let sent = 0;
  let answered = 0;
  let stopped = false;
  const drained = new Promise<void>((resolve) => {
    socket.on('message', () => {
      answered++;
      if (!stopped) socket.send(callText(++sent));
      else if (answered === sent) resolve();
    });
  });
  const started = process.hrtime.bigint();
  while (sent < IN_FLIGHT) socket.send(callText(++sent));
  await new Promise((resolve) => setTimeout(resolve, milliseconds));
  const count = answered;
  const seconds = Number(process.hrtime.bigint() - started) / 1e9;
  stopped = true;
  await drained;
  return count / seconds;
}

async function loadEcho(port: number, milliseconds: number): Promise<number> {
  const socket = await open(port);
  const value = await roundTrips(socket, milliseconds);
  socket.terminate();
  return value;
}

async function loadRouter(port: number, milliseconds: number): Promise<number> {
  const [caller, callee] = await Promise.all([join(port), join(port)]);
  callee.send('[64,1,{},"bench.procedure"]');
  await once(callee, 'message');
  callee.on('message', (data: Buffer) => {
    // [68,REQUEST,…
    const text = data.toString();
    callee.send(`[70,${text.slice(4, text.indexOf(',', 4))},{},${PAYLOAD}]`);
  });
  const value = await roundTrips(caller, milliseconds);
  caller.terminate();
  callee.terminate();
  return value;
}

const idle: WebSocket[] = [];

/** Opens sessions, each in a realm of its own, and leaves them open. */
async function openIdle(port: number, sessions: number): Promise<number> {
  while (idle.length < sessions) {
    idle.push(await join(port, HELLO.replace('bench', `bench.${idle.length}`)));
  }
  return idle.length;
}

process.on('message', (message: ClientRequest) => {
  const work =
    message.type === 'idle'
      ? openIdle(message.port, message.sessions)
      : (message.mode === 'echo' ? loadEcho : loadRouter)(message.port, message.milliseconds);
  void work.then((value) => process.send?.({ type: 'done', value } satisfies ClientReply));
});
process.on('disconnect', () => process.exit());
