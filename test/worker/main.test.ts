import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type LabEngine, startEngine } from '../../lab/engine.ts';
import { type LabPackageServer, startPackageServer } from '../../lab/package-server.ts';
import { type LabProcess, startProcess } from '../../lab/process.ts';
import { startProxyServer } from '../../lab/proxy-server.ts';
import { someBuild } from './harness.ts';
import { authority, certificatePem, dnsName, issue, startTlsServer } from './link/identities.ts';
import { isReady, startTestManager, type TestManager } from './test-manager.ts';

/** The program itself, as it is started, stopped and configured. */

const MAIN = fileURLToPath(new URL('../../src/worker/main.ts', import.meta.url));
const TOKEN = 'HOSTED-TOKEN-0123456789';

let directory: string;
let packages: LabPackageServer;
let engine: LabEngine;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'quay-builder-main-'));
  packages = await startPackageServer();
  engine = await startEngine();
  packages.serve('/hangs.tar.gz', { kind: 'hang' });
});
afterAll(async () => {
  await packages.stop();
  await engine.stop();
  await rm(directory, { recursive: true });
});

function start(env: NodeJS.ProcessEnv, args: readonly string[] = []): LabProcess {
  return startProcess(process.execPath, [MAIN, ...args], {
    env: {
      PATH: process.env['PATH'],
      WORK_DIR: join(directory, 'work'),
      WORKER_ID: 'main-test',
      DOCKER_HOST: engine.dockerHost,
      LOG_FORMAT: 'json',
      ...env,
    },
  });
}

function hosted(manager: TestManager): NodeJS.ProcessEnv {
  return { ENDPOINT: manager.url.href, REALM: 'one-build', TOKEN };
}

describe('settings', () => {
  it('are refused all at once, without a secret, with exit code 64', async () => {
    await using worker = start({ SERVER: 'ftp://x', TOKEN: 'a secret', SHUTDOWN_TIMEOUT: 'soon' });
    expect(await worker.exited).toBe(64);
    expect(worker.output()).toContain('SERVER: must be a ws, wss, http or https URL');
    expect(worker.output()).toContain('SHUTDOWN_TIMEOUT: must be a whole number of seconds, 0 to 86400');
    expect(worker.output()).not.toContain('a secret');
  });

  it.each([
    [{}, /^error: unknown command 'bash'\nquay-builder --help lists its commands\n$/],
    [{ container: 'oci' }, /docker run --interactive --tty --entrypoint sh IMAGE\n$/],
  ])('are not asked for with a command that there is not (%j)', async (env, said) => {
    await using worker = start(env, ['bash', '-c', 'true']);
    expect(await worker.exited).toBe(64);
    expect(worker.output()).toMatch(said);
  });

  it('may come from a file', async () => {
    const path = join(directory, 'settings.json');
    await writeFile(path, '{"LOG_LEVEL": "loud", "LABELS": "north"}');
    await using worker = start({}, ['--config', path]);
    expect(await worker.exited).toBe(64);
    expect(worker.output()).toContain('LOG_LEVEL: must be');
    expect(worker.output()).toContain('LABELS: must be NAME=VALUE pairs');
  });

  it.each([
    [
      'a file of known hosts that cannot be read',
      { GIT_KNOWN_HOSTS_FILE: '/nowhere/known_hosts' },
      64,
      'GIT_KNOWN_HOSTS_FILE',
    ],
    ['a certificate that cannot be read', { TLS_CA_PATH: '/nowhere/ca.pem' }, 64, 'TLS_CA_PATH'],
    [
      'certificates of the engine that are not there',
      { DOCKER_HOST: 'tcp://127.0.0.1:1', DOCKER_CERT_PATH: '/nowhere' },
      64,
      'DOCKER_CERT_PATH',
    ],
    ['a work directory that cannot be made', { WORK_DIR: '/dev/null/work' }, 73, 'WORK_DIR'],
    ['a work directory where nothing can be made', { WORK_DIR: '/proc/work' }, 73, 'WORK_DIR'],
  ])('end it at start for %s', async (_what, env, code, name) => {
    await using worker = start({ SERVER: 'ws://127.0.0.1:1', ...env });
    expect(await worker.exited).toBe(code);
    expect(worker.output()).toContain(name);
  });

  it('are explained by --help; an unknown option is refused', async () => {
    await using help = start({}, ['--help']);
    expect(await help.exited).toBe(0);
    expect(help.output()).toContain('enterprise: builds for ever');
    await using wrong = start({}, ['--colour']);
    expect(await wrong.exited).toBe(64);
  });
});

describe('a hosted worker', () => {
  it('runs its build and exits with 0, also when the build failed', async () => {
    await using manager = await startTestManager();
    await using worker = start(hosted(manager));
    const connection = await manager.connection();
    await worker.printed(/worker is ready/);
    const { error } = await connection.build({ ...someBuild, build_package: `${packages.url}/none` });
    expect(error).toBe('io.quay.builder.buildpackissue');
    expect(await worker.exited).toBe(0);
    expect(worker.output()).not.toContain(TOKEN);
    expect(worker.output()).not.toContain(someBuild.push_token);
  });

  it('exits with 77 when the manager will not have it', async () => {
    await using manager = await startTestManager({
      onCall: (uri) => (uri.endsWith('ready') ? false : undefined),
    });
    await using worker = start(hosted(manager));
    expect(await worker.exited).toBe(77);
  });

  it('exits with 71 when its engine does not answer', async () => {
    await using manager = await startTestManager();
    await using worker = start({ ...hosted(manager), DOCKER_HOST: `unix://${directory}/no-engine.sock` });
    expect(await worker.exited).toBe(71);
    expect(worker.output()).toContain('the engine does not answer');
  });

  it('exits with 74 when it loses its manager', async () => {
    await using manager = await startTestManager();
    await using worker = start(hosted(manager));
    const connection = await manager.connection();
    await worker.printed(/worker is ready/);
    connection.socket.terminate();
    expect(await worker.exited).toBe(74);
  });
});

describe('signals', () => {
  /** An enterprise worker in the middle of a build whose package never comes. */
  async function inBuild(
    manager: TestManager,
    env: NodeJS.ProcessEnv = {},
  ): Promise<{ worker: LabProcess; answer: Promise<string | null> }> {
    const worker = start({ ENDPOINT: manager.url.href, ...env });
    const connection = await manager.connection();
    await worker.printed(/worker is ready/);
    const requested = packages.requested('/hangs.tar.gz');
    const answer = connection.build({ ...someBuild, build_package: `${packages.url}/hangs.tar.gz` });
    await requested;
    return { worker, answer: answer.then(({ error }) => error) };
  }

  it('SIGTERM ends an idle worker with 0, after GOODBYE', async () => {
    await using manager = await startTestManager();
    await using worker = start({ ENDPOINT: manager.url.href });
    const connection = await manager.connection();
    await worker.printed(/worker is ready/);
    worker.kill('SIGTERM');
    expect(await worker.exited).toBe(0);
    await connection.closed;
    expect(connection.frames.at(-1)?.[0]).toBe(6);
  });

  it.each([
    ['SIGINT', ['SIGINT'] as const],
    ['a second SIGTERM', ['SIGTERM', 'SIGTERM'] as const],
  ])('%s stops the build, answers it, and ends with 75', async (_what, signals) => {
    await using manager = await startTestManager();
    const { worker, answer } = await inBuild(manager);
    await using _worker = worker;
    for (const [index, signal] of signals.entries()) {
      worker.kill(signal);
      if (index < signals.length - 1) await worker.printed(/leaving when the builds are done/);
    }
    expect(await answer).toBe('io.quay.builder.internalerror');
    expect(await worker.exited).toBe(75);
    expect(await readdir(join(directory, 'work', 'main-test'))).toEqual(['key']);
  });

  it('SIGTERM stops the build when its time is over', async () => {
    await using manager = await startTestManager();
    const { worker, answer } = await inBuild(manager, { SHUTDOWN_TIMEOUT: '0' });
    await using _worker = worker;
    worker.kill('SIGTERM');
    expect(await answer).toBe('io.quay.builder.internalerror');
    expect(await worker.exited).toBe(75);
  });

  it('kill -9 leaves a folder, which the next start goes to remove', async () => {
    await using manager = await startTestManager();
    const { worker, answer } = await inBuild(manager, { WORKER_ID: 'killed' });
    await using _worker = worker;
    answer.catch(() => undefined);
    worker.kill('SIGKILL');
    await worker.exited;
    const left = await readdir(join(directory, 'work', 'killed'), { withFileTypes: true });
    expect(left.filter((entry) => entry.isDirectory())).toHaveLength(1);
    await using next = start({ ENDPOINT: manager.url.href, WORKER_ID: 'killed' });
    await next.printed(/removing what a killed worker left/);
  });
});

describe('health', () => {
  /** What `quay-builder health` answers, with the settings of a worker. */
  async function health(env: NodeJS.ProcessEnv, ...args: string[]): Promise<string> {
    await using asked = start(env, ['health', ...args]);
    return `${await asked.exited}: ${asked.output().trim()}`;
  }

  it('is that of the worker: ready, building, without its manager, killed', async () => {
    await using manager = await startTestManager();
    const env = { ENDPOINT: manager.url.href, WORKER_ID: 'health' };
    await using worker = start(env);
    const connection = await manager.connection();
    await expect.poll(() => health(env)).toBe('0: 1 ready');
    const requested = packages.requested('/hangs.tar.gz');
    void connection
      .build({ ...someBuild, build_package: `${packages.url}/hangs.tar.gz` })
      .catch(() => undefined);
    await requested;
    await expect.poll(() => health(env)).toBe('0: 1 building');
    connection.socket.terminate();
    await manager[Symbol.asyncDispose]();
    await expect.poll(() => health(env)).toMatch(/^1: 1 not ready: /);
    expect(await health(env, '--alive')).toMatch(/^0: 1 not ready: /);
    worker.kill('SIGKILL');
    await worker.exited;
    expect(await health(env, '--alive')).toMatch(/^1: no worker runs in /);
  });

  it('says why no build can be taken', async () => {
    const env = {
      ENDPOINT: 'ws://127.0.0.1:1',
      WORKER_ID: 'health-engine',
      DOCKER_HOST: `unix://${directory}/no-engine.sock`,
    };
    await using worker = start(env);
    await worker.printed(/not ready; trying again/);
    await expect.poll(() => health(env)).toMatch(/^1: 1 not ready: the engine does not answer/);
  });
});

it('is ready through a proxy, over TLS, and shows no password of the proxy whatever it logs', async () => {
  await using proxy = await startProxyServer({ username: 'worker', password: 'p@ss-w0rd' });
  const ca = await authority('Lab');
  const server = await startTlsServer(await issue(ca, dnsName('manager.example')));
  await using manager = await startTestManager({}, server);
  const path = join(directory, 'ca.pem');
  await writeFile(path, certificatePem(ca));
  await using worker = start({
    ENDPOINT: manager.url.href.replace('127.0.0.1', 'manager.example'),
    TLS_CA_PATH: path,
    HTTPS_PROXY: proxy.url.replace('://', '://worker:p%40ss-w0rd@'),
    LOG_LEVEL: 'trace',
  });
  const connection = await manager.connection();
  await connection.frame(isReady);
  worker.kill('SIGTERM');
  expect(await worker.exited).toBe(0);
  expect(proxy.requests).toEqual([expect.stringMatching(/^CONNECT manager\.example:\d+$/)]);
  for (const part of ['p@ss', 'p%40ss']) expect(worker.output()).not.toContain(part);
  server.close();
  server.closeAllConnections();
});
