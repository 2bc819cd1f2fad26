import { randomBytes } from 'node:crypto';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startGitServer } from '../../lab/git-server.ts';
import { freePort } from '../../lab/ports.ts';
import { run } from '../../lab/process.ts';
import { importStandIns } from '../../lab/stand-ins.ts';
import type { Build } from '../../src/contract/api.ts';
import {
  ended,
  endlessBuild,
  followUntil,
  hasBegun,
  letGo,
  startE2e,
  submit,
  type E2e,
} from '../e2e/support.ts';
import { someBuild } from '../worker/harness.ts';
import {
  authority,
  certificatePem,
  issue,
  keyPem,
  loopback,
  startTlsServer,
  type Identity,
} from '../worker/link/identities.ts';
import { startTestManager } from '../worker/test-manager.ts';

/** The worker's images, made by make on stand-ins for their bases, run as docs/images.md says. */

const ROOT = resolve(import.meta.dirname, '../..');
const ALPINE = 'registry.example/worker:1-alpine';
const RHEL = 'registry.example/worker:1-rhel';
const SUBSCRIPTION = `KEY-OF-A-SUBSCRIPTION-${randomBytes(16).toString('hex')}`;

let e2e: E2e;
/** The manager, as containers reach it. */
let farm: { readonly url: string };
let server: string;
/** What make printed. */
let made: string;
beforeAll(async () => {
  const [http, wamp] = [await freePort(), await freePort()];
  e2e = await startE2e({
    registryAuth: 'open',
    env: ({ bridgeAddress }) => {
      farm = { url: `http://${bridgeAddress}:${http}` };
      server = `ws://${bridgeAddress}:${wamp}`;
      return {
        LISTEN_HTTP: `${bridgeAddress}:${http}`,
        LISTEN_WAMP: `${bridgeAddress}:${wamp}`,
        OPEN_HTTP_TO_EVERYBODY: 'yes',
        OPEN_REGISTRATION_TO_EVERYBODY: 'yes',
      };
    },
  });
  await importStandIns(e2e.engine, [
    'docker.io/library/alpine:3.22',
    'docker.io/library/node:24-alpine3.22',
    'registry.access.redhat.com/ubi9/ubi-minimal:latest',
  ]);
  made = `${await make('build-alpine')}${await make('build-rhel7-image')}`;
});
afterAll(() => e2e[Symbol.asyncDispose]());

/** Makes a target as a user would, of what was built last. Answers with all that it prints. */
async function make(target: string): Promise<string> {
  const key = join(e2e.directory, 'subscription.pem');
  await writeFile(key, SUBSCRIPTION);
  const settings = ['IMAGE=registry.example/worker', 'IMAGE_TAG=1', `SUBSCRIPTION_KEY=${key}`];
  const env = {
    PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
    HOME: e2e.directory,
    DOCKER_HOST: e2e.engine.dockerHost,
    BUILDKIT_PROGRESS: 'plain',
  };
  let told = '';
  const args = ['--old-file', 'dist/.built', target, ...settings];
  await run('make', args, { cwd: ROOT, env, onOutput: (text) => (told += text) });
  return told;
}

/** What the engine says of a container or an image. */
async function inspect(name: string, format: string): Promise<string> {
  return (await e2e.engine.docker(['inspect', '--format', format, name])).trim();
}

const logs = (name: string): Promise<string> => e2e.engine.docker(['logs', name]);

/** Starts a container, which is removed in the end, and waits until its log has this. */
async function start(
  name: string,
  args: readonly string[],
  until = '"worker is ready"',
): Promise<AsyncDisposable> {
  const { engine } = e2e;
  await engine.docker(['run', '--detach', '--name', name, ...args]);
  await expect.poll(() => logs(name)).toContain(until);
  return {
    [Symbol.asyncDispose]: async () => {
      await engine.docker(['rm', '--force', '--volumes', name]);
    },
  };
}

/** Who a process is, by the kernel's word. */
interface Who {
  readonly pid: number;
  readonly uid: number;
  readonly groups: readonly number[];
}

/** The worker itself in a container: the child of its init. Null while there is none. */
async function workerOf(name: string): Promise<Who | null> {
  const init = await inspect(name, '{{.State.Pid}}');
  for (const pid of (await readdir('/proc')).filter((each) => /^\d+$/.test(each))) {
    const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
    const line = (field: string): number[] =>
      (new RegExp(`^${field}:\\s*(.*)$`, 'm').exec(status)?.[1] ?? '').trim().split(/\s+/).map(Number);
    if (line('PPid')[0] === Number(init))
      return { pid: Number(pid), uid: line('Uid')[0] ?? -1, groups: line('Groups') };
  }
  return null;
}

const dockerfile = (own: string): Uint8Array<ArrayBuffer> =>
  new TextEncoder().encode(`FROM busybox:stable\nRUN echo ${own}\n`);

async function built(own: string): Promise<Build> {
  const { id } = await submit(farm, { repository: `team/${own}` }, dockerfile(own));
  return ended(farm, id);
}

describe('the images', () => {
  it('have the names that they had before, too', async () => {
    const ids = await Promise.all(
      [RHEL, 'registry.example/worker:1-rhel7'].map((name) => inspect(name, '{{.Id}}')),
    );
    expect(ids[0]).toBe(ids[1]);
    expect(await inspect(ALPINE, '{{index .Config.Labels "org.opencontainers.image.licenses"}}')).toBe(
      'Apache-2.0',
    );
  });

  it('hold no key of the subscription that was given while they were made, in no layer and no history', async () => {
    expect(made).toContain('entitlement: subscription.pem');
    expect(made).not.toContain(SUBSCRIPTION);
    const file = join(e2e.directory, 'rhel.tar');
    await e2e.engine.docker(['save', '--output', file, RHEL]);
    const saved = await readFile(file);
    expect(saved.includes('entrypoint quay-builder')).toBe(true);
    expect(saved.includes(SUBSCRIPTION)).toBe(false);
    expect(await e2e.engine.docker(['history', '--no-trunc', RHEL])).not.toContain(SUBSCRIPTION);
  });

  it.each([ALPINE, RHEL])(
    '%s runs the worker alone, and says what a container of it needs',
    async (image) => {
      const ran = (...command: string[]): Promise<string> =>
        e2e.engine.docker(['run', '--rm', '--env', 'SERVER=ws://127.0.0.1:1', image, ...command]);
      await expect(ran('bash', '-c', 'true')).rejects.toThrow(
        /ended with 64: .*unknown command 'bash'.*--entrypoint sh IMAGE/s,
      );
      await expect(ran('doctor')).rejects.toThrow(/ended with 1: .*the container has its socket/s);
    },
  );

  it.each([ALPINE, RHEL])(
    '%s has what a worker needs, and nothing to compile or install with',
    async (image) => {
      const has = (names: string): string =>
        `for name in ${names}; do command -v $name >/dev/null && echo $name; done; true`;
      const script = has('git ssh ssh-keygen bzip2 xz node npm npx corepack yarn gcc cc make python3');
      const found = await e2e.engine.docker(['run', '--rm', '--entrypoint', 'sh', image, '-c', script]);
      expect(found.trim().split('\n')).toEqual(['git', 'ssh', 'ssh-keygen', 'bzip2', 'xz', 'node']);
    },
  );
});

describe.each([
  ['alpine', ALPINE],
  ['rhel', RHEL],
])('an enterprise worker on %s', (base, image) => {
  it('builds through the socket, as a user in its group; is healthy; starts again when it dies, not when it was stopped', async () => {
    const { engine } = e2e;
    const name = `enterprise-${base}`;
    await using _worker = await start(name, [
      ...['--restart', 'on-failure', '--env', `SERVER=${server}`],
      ...['--volume', `${engine.socket}:/var/run/docker.sock`, '--health-interval', '1s', image],
    ]);
    const first = await workerOf(name);
    expect(first?.uid).toBe(10_002);
    expect(first?.groups).toContain((await stat(engine.socket)).gid);
    expect(await built(`enterprise-${base}`)).toMatchObject({ state: 'complete' });
    await expect.poll(() => inspect(name, '{{.State.Health.Status}}')).toBe('healthy');
    if (first) process.kill(first.pid, 'SIGKILL');
    await expect
      .poll(async () => (await logs(name)).split('"worker is ready"').length)
      .toBeGreaterThanOrEqual(3);
    expect(await built(`again-${base}`)).toMatchObject({ state: 'complete' });
    await engine.docker(['stop', '--time', '60', name]);
    expect(await inspect(name, '{{.State.Status}} {{.State.ExitCode}} {{.RestartCount}}')).toBe('exited 0 1');
  });

  it('needs no root file system that can be written, and few capabilities or none', async () => {
    const { engine } = e2e;
    const closed = ['--read-only', '--cap-drop', 'ALL', '--security-opt', 'no-new-privileges'];
    const usual = ['--env', `SERVER=${server}`, '--volume', `${engine.socket}:/var/run/docker.sock`];
    const group = String((await stat(engine.socket)).gid);
    await using _root = await start(`root-${base}`, [
      ...[...closed, '--cap-add', 'SETUID', '--cap-add', 'SETGID', ...usual, image],
    ]);
    await using _user = await start(`user-${base}`, [
      ...[...closed, '--user', '10002', '--group-add', group, ...usual, image],
    ]);
    for (const name of [`root-${base}`, `user-${base}`])
      expect(await workerOf(name)).toMatchObject({ uid: 10_002 });
    await expect(engine.docker(['run', '--rm', ...closed, ...usual, image])).rejects.toThrow(
      /ended with 78: .*give it the capabilities SETUID and SETGID/s,
    );
  });
});

it('docker stop lets the build that runs end', async () => {
  const { engine } = e2e;
  await using _worker = await start('stopped', [
    ...['--env', `SERVER=${server}`, '--volume', `${engine.socket}:/var/run/docker.sock`, ALPINE],
  ]);
  const { dockerfile: endless, command } = endlessBuild();
  const { id } = await submit(farm, { repository: 'team/stopped' }, endless);
  await followUntil(farm, id, hasBegun);
  const stopped = engine.docker(['stop', '--time', '120', 'stopped']);
  await expect.poll(() => logs('stopped')).toContain('leaving when the builds are done');
  expect(await letGo(farm, id, command)).toMatchObject({
    state: 'complete',
    tries: [{ outcome: 'complete' }],
  });
  await stopped;
  expect(await inspect('stopped', '{{.State.ExitCode}}')).toBe('0');
});

it('a worker without its manager is unhealthy, and says why', async () => {
  const { engine } = e2e;
  await using _worker = await start(
    'unhealthy',
    [
      ...['--health-interval', '1s', '--health-retries', '1', '--health-start-period', '1ms'],
      ...['--env', 'SERVER=ws://127.0.0.1:1', '--volume', `${engine.socket}:/var/run/docker.sock`, ALPINE],
    ],
    'not ready; trying again',
  );
  await expect.poll(() => inspect('unhealthy', '{{.State.Health.Status}}')).toBe('unhealthy');
  await expect
    .poll(() => inspect('unhealthy', '{{json .State.Health.Log}}'))
    .toContain('1 not ready: connect ECONNREFUSED 127.0.0.1:1');
  const alive = await engine.docker(['exec', 'unhealthy', 'quay-builder', 'health', '--alive']);
  expect(alive).toContain('1 not ready');
});

describe('with authorities in /certs', () => {
  let ca: Identity;
  let identity: Identity;
  let certs: string[];
  beforeAll(async () => {
    ca = await authority('Of the company');
    identity = await issue(ca, loopback);
    const [good, bad] = [join(e2e.directory, 'rootCA.pem'), join(e2e.directory, 'bad.crt')];
    await writeFile(good, certificatePem(ca));
    await writeFile(bad, 'no certificate');
    certs = ['--volume', `${good}:/certs/rootCA.pem`, '--volume', `${bad}:/certs/bad.crt`];
  });

  it.each([ALPINE, RHEL])(
    '%s, hosted, trusts its manager and git servers, runs one build and ends',
    async (image) => {
      const { engine, bases } = e2e;
      const tls = await startTlsServer(identity);
      await using manager = await startTestManager({}, tls);
      await using git = await startGitServer({
        tls: { key: await keyPem(identity), cert: certificatePem(identity) },
      });
      const sha = await git.commit('app', { Dockerfile: 'FROM busybox:stable\nRUN echo from https\n' });
      const hosted = { ENDPOINT: manager.url.href, REALM: 'one-build', TOKEN: 'HOSTED-TOKEN-0123456789' };
      const ran = engine.docker(
        [
          ...[
            'run',
            '--rm',
            '--network',
            'host',
            '--read-only',
            '--env',
            'ENDPOINT',
            '--env',
            'REALM',
            '--env',
            'TOKEN',
          ],
          ...[...certs, '--volume', `${engine.socket}:/var/run/docker.sock`, image],
        ],
        { env: hosted },
      );
      // Its end is looked at below, also where it comes before a connection.
      ran.catch(() => undefined);
      const connection = await Promise.race([
        manager.connection(),
        ran.then((printed) => Promise.reject(new Error(`it ended: ${printed}`))),
      ]);
      await connection.frame((frame) => frame[0] === 48 && frame[3] === 'io.quay.buildworker.ready');
      const build = {
        ...someBuild,
        build_package: '',
        git: { url: git.url('app'), sha },
        registry: bases.host,
      };
      const { error, kwargs } = await connection.build(build);
      expect({ error, ...kwargs }).toMatchObject({ error: null });
      const printed = await ran;
      expect(printed).toContain('/certs/bad.crt: it holds no certificate, in PEM or DER');
      expect(printed).not.toContain(hosted.TOKEN);
      tls.close();
      tls.closeAllConnections();
    },
  );

  it('and without them, a manager of that authority is refused', async () => {
    const { engine } = e2e;
    const tls = await startTlsServer(identity);
    await using manager = await startTestManager({}, tls);
    const usual = ['--network', 'host', '--env', `SERVER=${manager.url.origin}`];
    const socket = ['--volume', `${engine.socket}:/var/run/docker.sock`];
    await using _refused = await start(
      'refused',
      [...usual, ...socket, ALPINE],
      'unable to verify the first certificate',
    );
    await using _ready = await start('trusted', [...usual, ...socket, ...certs, ALPINE]);
    expect(await logs('trusted')).toContain('/certs/bad.crt: it holds no certificate');
    const health = ['exec', 'trusted', 'sh', '-c', 'quay-builder health 2>&1; true'];
    await expect.poll(() => engine.docker(health)).toBe('1 ready\n');
    tls.close();
    tls.closeAllConnections();
  });
});
