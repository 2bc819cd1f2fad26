import { readFileSync, readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import type { ProcedureHandler } from '../../src/wamp/index.ts';
import { startRouter } from './support/server.ts';

/** A frame of a recorded session between a deployed worker and a deployed manager. */
interface Frame {
  readonly conn: number;
  readonly dir: 'w2m' | 'm2w';
  readonly kind: string;
  readonly wamp?: unknown[];
}

const folder = new URL('../fixtures/protocol/', import.meta.url);
const transcripts = readdirSync(folder).filter((name) => name.endsWith('.jsonl'));

function framesOf(name: string): Frame[] {
  return readFileSync(new URL(name, folder), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Frame)
    .filter(({ conn, kind }) => conn === 1 && kind === 'text');
}

/** What does not vary between two managers: the kind of a message, the request that it answers, and what it carries. */
function essence(message: unknown[]): unknown[] {
  switch (message[0]) {
    case 2:
    case 6:
      return [message[0]];
    case 65:
      return [65, message[1]];
    default:
      return message;
  }
}

describe.each(transcripts)('the deployed worker of %s', (name) => {
  test('joins as it was recorded: registers, leaves and joins its realm without waiting, and gets ready', async () => {
    const frames = framesOf(name);
    const hellos = frames.filter(({ dir, wamp }) => dir === 'w2m' && wamp?.[0] === 1);
    const realm = String(hellos[1]?.wamp?.[1]);
    const isBuild = ({ wamp }: Frame) => wamp?.[0] === 68;
    const untilBuild = frames
      .slice(0, frames.findIndex(isBuild))
      .map((frame) => ({ ...frame, wamp: frame.wamp ?? [] }));

    let readyWith: unknown;
    const procedures = new Map<string, ProcedureHandler<undefined>>([
      ['io.quay.buildworker.register', () => ({ args: [realm] })],
      ['io.quay.buildworker.ping', () => ({ args: ['pong'] })],
      [
        'io.quay.buildworker.ready',
        (_args, kwargs) => {
          readyWith = kwargs;
          return { args: [true] };
        },
      ],
    ]);
    let heartbeats = 0;
    const topics = new Map([['io.quay.builder.heartbeat', () => (heartbeats += 1)]]);
    await using router = await startRouter();
    router.router.addRealm('registration', { procedures }, undefined);
    router.router.addRealm(realm, { procedures, topics }, undefined);

    const socket = new WebSocket(router.url, 'wamp.2.json');
    const heard: unknown[][] = [];
    const { promise: allHeard, resolve } = Promise.withResolvers<undefined>();
    const expected = untilBuild.filter(({ dir }) => dir === 'm2w').map(({ wamp }) => wamp);
    const said = untilBuild.filter(({ dir }) => dir === 'w2m').map(({ wamp }) => wamp);
    // The worker answers what it hears, but for GOODBYE and HELLO, which it says in one breath.
    const sayOn = () => {
      let message = said.shift();
      while (message) {
        socket.send(JSON.stringify(message));
        const waits = message[0] !== 6 && message[0] !== 16;
        if (waits) return;
        message = said.shift();
      }
    };
    socket.on('message', (data: Buffer) => {
      const message = JSON.parse(data.toString()) as unknown[];
      heard.push(message);
      if (message[0] !== 6) sayOn();
      if (heard.length === expected.length) resolve(undefined);
    });
    socket.on('open', sayOn);
    await allHeard;
    expect(heard.map(essence)).toEqual(expected.map(essence));
    expect(readyWith).toEqual({ token: '', version: '0.3' });
    expect(heartbeats).toBeGreaterThan(0);
    socket.terminate();
  });
});
