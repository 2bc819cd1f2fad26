import { existsSync } from 'node:fs';
import { access, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../../lab/ports.ts';
import { startProcess, type LabProcess } from '../../lab/process.ts';

/** The program itself, as it is started, stopped and told to make tokens. */

const MAIN = fileURLToPath(new URL('../../src/manager/main.ts', import.meta.url));

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'quay-manager-main-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

function start(env: NodeJS.ProcessEnv, args: readonly string[] = []): LabProcess {
  return startProcess(process.execPath, [MAIN, ...args], {
    env: {
      PATH: process.env['PATH'],
      LISTEN_WAMP: '127.0.0.1:0',
      LISTEN_HTTP: '127.0.0.1:0',
      LOG_FORMAT: 'json',
      ...env,
    },
  });
}

describe('a manager that cannot start', () => {
  it.each(['LISTEN_WAMP', 'LISTEN_HTTP'])(
    'says so of an occupied address (%s), ends its PostgreSQL, and itself',
    async (setting) => {
      const occupant = createServer().listen(0, '127.0.0.1');
      await once(occupant, 'listening');
      const { port } = occupant.address() as AddressInfo;
      const data = join(directory, setting);
      await using manager = start({ DATA_DIR: data, [setting]: `127.0.0.1:${port}` });
      expect(await manager.exited).toBe(69);
      expect(manager.output()).toContain('choose other addresses with LISTEN_WAMP and LISTEN_HTTP');
      await expect(access(join(data, 'postgresql/data/postmaster.pid'))).rejects.toThrow('ENOENT');
      occupant.close();
    },
  );

  it('says so of a command that there is not', async () => {
    await using manager = start({}, ['tokne', 'ci', '--file', 'api-tokens.json']);
    expect(await manager.exited).toBe(64);
    expect(manager.output()).toBe(
      "error: unknown command 'tokne'\nquay-build-manager --help lists its commands\n",
    );
  });

  it('keeps its data whatever it is called', async () => {
    const data = join(directory, 'called');
    for (const round of [1, 2]) {
      await using manager = start({ DATA_DIR: data, MANAGER_ID: '..' });
      await manager.printed(/manager is ready/);
      manager.kill('SIGTERM');
      expect(await manager.exited).toBe(0);
      expect(await readdir(data), `round ${round}`).toContain('secret.key');
    }
    expect(await readdir(directory)).toContain('called');
  });

  it('says so of a data folder that cannot be made, and of a key that cannot be read', async () => {
    await using nowhere = start({ DATA_DIR: '/dev/null/data' });
    expect(await nowhere.exited).toBe(69);
    expect(nowhere.output()).toBe(
      'quay-build-manager cannot start:\n' +
        '  DATA_DIR: must be the path of a folder that may be written to, for example /var/lib/quay-build-manager; ' +
        'it is "/dev/null/data" (ENOTDIR: not a directory, mkdir \'/dev/null/data\')\n',
    );
    await using unmade = start({ DATA_DIR: '/proc/data' });
    expect(await unmade.exited).toBe(69);
    expect(unmade.output()).toContain('DATA_DIR: must be the path of a folder that may be written to');
    await using strange = start({
      DATA_DIR: join(directory, 'strange'),
      GIT_KNOWN_HOSTS_FILE: '/nowhere/known_hosts',
    });
    expect(await strange.exited).toBe(64);
    expect(strange.output()).toContain(
      '  GIT_KNOWN_HOSTS_FILE: must be the absolute path of a readable file (ENOENT',
    );
    const folder = join(directory, 'no-key');
    await mkdir(folder, { mode: 0o700 });
    await using keyless = start({ DATA_DIR: join(directory, 'keyless'), SECRET_KEY_FILE: folder });
    expect(await keyless.exited).toBe(69);
    expect(keyless.output()).toContain(`${folder} cannot be read`);
  });

  it('says so of executors that are described wrongly, before it starts a database', async () => {
    const file = join(directory, 'executors.json');
    await writeFile(file, '[{"name":"local","type":"rocket"}]');
    const data = join(directory, 'no-executors');
    await using manager = start({ DATA_DIR: data, EXECUTORS_FILE: file });
    expect(await manager.exited).toBe(69);
    expect(manager.output()).toContain(`EXECUTORS_FILE: ${file}: 0.type`);
    expect(await readdir(data)).toEqual([]);
  });
});

it('told to stop while it starts, leaves no PostgreSQL', async () => {
  const data = join(directory, 'told-early');
  const postmaster = join(data, 'postgresql/data/postmaster.pid');
  await using manager = start({ DATA_DIR: data });
  await expect.poll(() => existsSync(postmaster)).toBe(true);
  manager.kill('SIGTERM');
  expect(await manager.exited).toBe(0);
  expect(existsSync(postmaster)).toBe(false);
});

it.each(['LISTEN_WAMP', 'LISTEN_HTTP'])(
  'stops although somebody is connected to %s in silence',
  async (at) => {
    const port = await freePort();
    await using manager = start({ DATA_DIR: join(directory, 'silent'), [at]: `127.0.0.1:${port}` });
    await manager.printed(/manager is ready/);
    const silent = connect(port, '127.0.0.1');
    silent.on('error', () => undefined);
    await once(silent, 'connect');
    manager.kill('SIGTERM');
    expect(await manager.exited).toBe(0);
    silent.destroy();
  },
);

describe('quay-build-manager health', () => {
  const ask = (address: string): LabProcess => start({ LISTEN_HTTP: address }, ['health']);

  it('asks the manager of the same settings whether it is ready', async () => {
    const port = await freePort();
    const file = join(directory, 'health-tokens.json');
    await using made = start({}, ['token', 'ops', '--file', file]);
    expect(await made.exited).toBe(0);
    const settings = {
      DATA_DIR: join(directory, 'health'),
      LISTEN_HTTP: `0.0.0.0:${port}`,
      PUBLIC_URL: `http://127.0.0.1:${port}`,
      API_TOKENS_FILE: file,
    };
    await using manager = start(settings);
    await manager.printed(/manager is ready/);
    await using ready = start(settings, ['health']);
    expect(await ready.exited).toBe(0);
    expect(ready.output()).toBe('ready\n');
  });

  it('says why one is not, or what is in its place', async () => {
    const server = createServer((_request, response) => {
      const error = { code: 'manager_stopping', message: 'It stops.', help: '' };
      response.writeHead(503, { 'content-type': 'application/json' }).end(JSON.stringify(error));
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    await using stopping = ask(`127.0.0.1:${port}`);
    expect(await stopping.exited).toBe(1);
    expect(stopping.output()).toBe('not ready: It stops.\n');
    server.close();
    await using nobody = ask(`127.0.0.1:${await freePort()}`);
    expect(await nobody.exited).toBe(1);
    expect(nobody.output()).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/readyz does not answer: .*ECONNREFUSED/);
  });
});

describe('quay-build-manager token', () => {
  const make = (...args: string[]): LabProcess => start({}, ['token', ...args]);

  it('prints a token once, and replaces that of the same name', async () => {
    const file = join(directory, 'tokens.json');
    for (const name of ['ci', 'joe', 'ci']) {
      await using made = make(name, '--file', file);
      expect(await made.exited).toBe(0);
      expect(made.output()).toMatch(/^qb_[\w-]{43}\n$/);
    }
    const entries = JSON.parse(await readFile(file, 'utf8')) as { name: string }[];
    expect(entries.map(({ name }) => name)).toEqual(['joe', 'ci']);
  });

  it('changes the file of API_TOKENS_FILE where no other is named, and wants one of them', async () => {
    const file = join(directory, 'named-by-setting.json');
    await using made = start({ API_TOKENS_FILE: file }, ['token', 'ci']);
    expect(await made.exited).toBe(0);
    expect(JSON.parse(await readFile(file, 'utf8'))).toMatchObject([{ name: 'ci' }]);
    await using nowhere = make('ci');
    expect(await nowhere.exited).toBe(64);
    expect(nowhere.output()).toContain('--file');
  });

  it('takes a token out of the file that is revoked, and says so of one that is not there', async () => {
    const file = join(directory, 'revoked.json');
    await using made = make('ci', '--file', file);
    await made.exited;
    await using revoked = make('ci', '--revoke', '--file', file);
    expect(await revoked.exited).toBe(0);
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual([]);
    await using again = make('ci', '--revoke', '--file', file);
    expect(await again.exited).toBe(69);
    expect(again.output()).toBe(`${file} has no entry of the name ci\n`);
  });

  it('refuses a name that no tokens file may hold', async () => {
    await using refused = make('two words', '--file', join(directory, 'none.json'));
    expect(await refused.exited).toBe(64);
    expect(refused.output()).toContain('must be 1 to 64 of');
    expect(await readdir(directory)).not.toContain('none.json');
  });

  it('leaves a file alone that is no list of tokens, or cannot be written', async () => {
    const file = join(directory, 'broken.json');
    await writeFile(file, '{');
    await using broken = make('ci', '--file', file);
    expect(await broken.exited).toBe(69);
    expect(broken.output()).toBe(`${file} cannot be read: it is not JSON\n`);
    expect(await readFile(file, 'utf8')).toBe('{');
    await using unwritable = make('ci', '--file', '/dev/null/tokens.json');
    expect(await unwritable.exited).toBe(69);
    expect(unwritable.output()).toContain('/dev/null/tokens.json cannot be written');
  });
});

it('makes tickets for workers, with which it starts, and revokes them', async () => {
  const file = join(directory, 'tickets.json');
  const ticket = (...args: string[]): LabProcess => start({}, ['ticket', ...args, '--file', file]);
  await using made = ticket('builder-7');
  expect(await made.exited).toBe(0);
  expect(made.output()).toMatch(/^qt_[\w-]{43}\n$/);
  const data = join(directory, 'by-ticket');
  const settings = { DATA_DIR: data, REGISTRATION: 'ticket', REGISTRATION_TICKETS_FILE: file };
  await using manager = start(settings);
  await manager.printed(/manager is ready/);
  await using revoked = ticket('builder-7', '--revoke');
  expect(await revoked.exited).toBe(0);
  await writeFile(file, '{');
  await using broken = start(settings);
  expect(await broken.exited).toBe(69);
  expect(broken.output()).toContain(`${file} cannot be read: it is not JSON`);
});
