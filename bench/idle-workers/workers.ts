import { once } from 'node:events';
import { WebSocket } from 'ws';
import {
  CONTRACT_VERSION,
  managerProcedures,
  REGISTRATION_REALM,
  topics,
  workerProcedures,
} from '../../src/contract/uris.ts';
import type { WorkersReply, WorkersRequest } from './messages.ts';

/**
 * A process of deployed workers that wait for builds: each with its connection, its realm and a heartbeat a second. They are sessions
 * of a few frames, since ten thousand of them have to leave the manager a core of its own.
 */

/** Workers of one address of the loopback: fewer than may register in a minute. */
const PER_ADDRESS = 400;
/** Workers that connect at once. */
const AT_ONCE = 32;
const HEARTBEAT_MS = 1_000;

const HEARTBEAT = JSON.stringify([16, 1, {}, topics.heartbeat]);
const sockets = new Set<WebSocket>();

async function connectWorker(url: string, localAddress: string): Promise<void> {
  const socket = new WebSocket(url, ['wamp.2.json'], { perMessageDeflate: false, localAddress });
  await once(socket, 'open');
  sockets.add(socket);
  socket.once('close', () => sockets.delete(socket));
  const ask = async (...frame: unknown[]): Promise<readonly unknown[]> => {
    const answer = once(socket, 'message');
    socket.send(JSON.stringify(frame));
    const [data] = (await answer) as [Buffer];
    return JSON.parse(data.toString()) as unknown[];
  };
  const call = async (procedure: string, kwargs: object): Promise<unknown> => {
    const answer = await ask(48, 1, {}, procedure, [], kwargs);
    if (answer[0] !== 50) throw new Error(`${procedure} was answered with ${JSON.stringify(answer)}`);
    return (answer[3] as unknown[])[0];
  };
  const roles = { callee: {}, caller: {}, publisher: {}, subscriber: {} };
  await ask(1, REGISTRATION_REALM, { roles });
  const realm = await call(managerProcedures.register, {});
  await ask(6, {}, 'wamp.error.close_realm');
  await ask(1, realm, { roles });
  await ask(64, 1, {}, workerProcedures.build);
  const isReady = await call(managerProcedures.ready, { token: '', version: CONTRACT_VERSION });
  if (isReady !== true) throw new Error('the manager answered ready with false');
  // Workers were started at any time, and so do their hearts beat.
  setTimeout(() => {
    const heart = setInterval(() => socket.send(HEARTBEAT), HEARTBEAT_MS);
    socket.once('close', () => clearInterval(heart));
  }, Math.random() * HEARTBEAT_MS);
}

async function connectAll({
  url,
  workers,
  firstAddress,
}: Extract<WorkersRequest, { type: 'connect' }>): Promise<void> {
  let begun = 0;
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      while (begun < workers) {
        const address = firstAddress + Math.floor(begun / PER_ADDRESS);
        begun += 1;
        await connectWorker(url, `127.0.1.${address}`);
      }
    }),
  );
}

process.on('message', (message: WorkersRequest) => {
  const done = message.type === 'connect' ? connectAll(message) : Promise.resolve();
  void done.then(() => process.send?.({ connected: sockets.size } satisfies WorkersReply));
});
process.on('disconnect', () => process.exit());
