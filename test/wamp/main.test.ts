import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { joinClient, openClient } from './support/server.ts';
import { ROLES } from './support/peer.ts';

const main = fileURLToPath(new URL('../../src/wamp/main.ts', import.meta.url));

function start(...args: string[]): ChildProcess {
  return spawn(process.execPath, [main, '--listen', '127.0.0.1:0', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

/** Waits for READY; answers with the URL. */
async function ready(program: ChildProcess): Promise<string> {
  let text = '';
  for await (const chunk of program.stdout ?? []) {
    text += String(chunk);
    const match = /^READY\n(ws:\S+)\n$/.exec(text);
    if (match?.[1] !== undefined) return match[1];
  }
  throw new Error(`no READY but ${text}`);
}

async function endOf(program: ChildProcess): Promise<{ code: unknown; errors: string }> {
  let errors = '';
  program.stderr?.on('data', (chunk) => (errors += String(chunk)));
  const [code] = (await once(program, 'close')) as [unknown];
  return { code, errors };
}

describe('the router as a program', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)(
    'serves its realms until %s, and says GOODBYE',
    async (signal) => {
      const program = start('--path', '/ws', '--realm', 'realm1', 'realm.2', '--realm', 'realm3');
      const url = await ready(program);
      expect(url).toMatch(/^ws:\/\/127\.0\.0\.1:\d+\/ws$/);
      const clients = await Promise.all(
        ['realm1', 'realm.2', 'realm3'].map((realm) => joinClient(url, realm)),
      );
      const stranger = await openClient(url);
      expect(await stranger.ask([1, 'realm4', { roles: ROLES }])).toMatchObject([
        3,
        {},
        'wamp.error.no_such_realm',
      ]);
      const insistent = await openClient(url);
      expect(
        await insistent.ask([1, 'realm1', { roles: ROLES, authid: 'joe', authmethods: ['ticket'] }]),
      ).toMatchObject([3, {}, 'wamp.error.no_matching_auth_method']);
      const end = endOf(program);
      program.kill(signal);
      for (const client of clients) {
        expect(await client.next()).toMatchObject([6, {}, 'wamp.close.system_shutdown']);
        client.say([6, {}, 'wamp.close.goodbye_and_out']);
      }
      expect((await end).code).toBe(0);
    },
  );

  test('with tickets, from the command line or a file, lets in who shows one', async () => {
    const folder = mkdtempSync(joinPath(tmpdir(), 'router-tickets-'));
    const file = joinPath(folder, 'tickets');
    writeFileSync(file, 'ann:from:file\n');
    const program = start('--realm', 'realm1', '--ticket', 'joe:secret', '--ticket-file', file);
    const url = await ready(program);
    for (const [authid, ticket, code] of [
      ['joe', 'secret', 2],
      ['ann', 'from:file', 2],
      ['ann', 'secret', 3],
    ] as const) {
      const client = await openClient(url);
      const hello = [1, 'realm1', { roles: ROLES, authid, authmethods: ['ticket'] }];
      expect(await client.ask(hello)).toEqual([4, 'ticket', {}]);
      expect((await client.ask([5, ticket, {}]))[0]).toBe(code);
      client.socket.terminate();
    }
    const end = endOf(program);
    program.kill('SIGTERM');
    await end;
    rmSync(folder, { recursive: true });
  });

  test.each([
    [[], '--realm'],
    [['--realm', 'realm1', '--listen', 'nowhere'], '--listen'],
    [['--realm', 'realm1', '--listen', '127.0.0.1:70000'], '--listen'],
    [['--realm', 'realm1', '--ticket', 'no-colon'], 'AUTHID:TICKET'],
    [['--realm', 'realm1', '--ticket-file', '/does/not/exist'], '/does/not/exist'],
    [['--realm', 'realm1', '--nonsense'], '--nonsense'],
    [['--realm', 'realm 1'], '"realm 1"'],
    [['--realm', 'realm1', '--path', '/', '--path', 'ws'], '--path must begin with /, as in /ws, not "ws"'],
    [['--realm', 'realm1', '--path', '/ws?x'], '--path must begin with /'],
  ])('started with %j ends with 2 and says what is wrong', async (args, text) => {
    const { code, errors } = await endOf(start(...args));
    expect(code).toBe(2);
    expect(errors).toContain(text);
  });
});
