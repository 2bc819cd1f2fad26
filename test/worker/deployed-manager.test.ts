import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { importBaseImage } from '../../lab/base-image.ts';
import { type LabEngine, startEngine } from '../../lab/engine.ts';
import { type LabPackageServer, startPackageServer } from '../../lab/package-server.ts';
import { type LabProcess, startProcess } from '../../lab/process.ts';
import { type LabRegistry, startRegistry } from '../../lab/registry.ts';
import { program, PYTHON } from '../peers/python.ts';
import { authority, certificatePem, issue, keyPem, loopback } from './link/identities.ts';

/** A manager made from the text of the contract alone, in another language and with another WAMP library (test/peers/build_manager.py). */

const MAIN = fileURLToPath(new URL('../../src/worker/main.ts', import.meta.url));
const TOKEN = 'ACCESSTOKENCODE0123456789';
const LINES = 200;
const COUNTS = `seq 1 ${LINES}`;
const TAKES_TIME = 'sleep 1';

const stack = new AsyncDisposableStack();
let directory: string;
let engine: LabEngine;
let registry: LabRegistry;
let packages: LabPackageServer;
let manager: LabProcess;
let worker: LabProcess;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'quay-builder-deployed-'));
  stack.defer(() => rm(directory, { recursive: true, force: true }));
  engine = stack.use(await startEngine());
  registry = stack.use(await startRegistry());
  packages = stack.use(await startPackageServer());
  await importBaseImage(engine, `${registry.host}/team/base:latest`);
  await engine.docker(['push', `${registry.host}/team/base:latest`]);
  manager = startManager([
    build('completes', COUNTS),
    build('sayslittle', COUNTS, {
      context: null,
      dockerfile_path: null,
      base_image: null,
      git: null,
      // Names of ours, which mean nothing here, and names of nobody's.
      ...{ timeout: 'soon', lease: 4, secrets: [], platform: 1.5, labels: null },
      ...{ base_image_id: 1.0, trigger: { kind: null } },
    }),
    build('fails', 'exit 7'),
    build('iscancelled', 'sleep 600'),
    build('isrefused', COUNTS),
    build('isslow', COUNTS),
    build('islost', TAKES_TIME),
    build('isgivenup', TAKES_TIME),
    build('losesmanager', TAKES_TIME),
  ]);
  worker = startWorker({ ENDPOINT: `ws://127.0.0.1:${await portOf(manager)}` });
});
afterAll(() => stack.disposeAsync());

/** Build arguments as they were recorded, of a step that prints and then does this. The manager does what `name` says. */
function build(name: string, step: string, more: object = {}): object {
  // What it prints is not what the log says of it before, and no other build has it in the engine's cache.
  const dockerfile = `FROM ${registry.host}/team/base\nRUN : ${name}; printf 'in the %s\\n' step; ${step}\n`;
  packages.serve(`/${name}`, {
    kind: 'bytes',
    body: Buffer.from(dockerfile),
    contentType: 'application/octet-stream',
  });
  return {
    repository: `team/${name}`,
    build_package: `${packages.url}/${name}`,
    pull_token: TOKEN,
    tag_names: ['latest', 'v1'],
    registry: registry.host,
    context: '/',
    push_token: TOKEN,
    base_image: {},
    dockerfile_path: 'Dockerfile',
    ...more,
  };
}

function startManager(builds: object[], env: NodeJS.ProcessEnv = {}, ...files: string[]): LabProcess {
  const args = program('build_manager.py', JSON.stringify(builds), ...files);
  return stack.use(startProcess(PYTHON, args, { env: { PATH: process.env['PATH'], ...env } }));
}

async function portOf(started: LabProcess): Promise<string> {
  return (await started.printed(/"port": (\d+)\}/))[1] ?? '';
}

function startWorker(env: NodeJS.ProcessEnv): LabProcess {
  return stack.use(
    startProcess(process.execPath, [MAIN], {
      env: {
        PATH: process.env['PATH'],
        WORK_DIR: join(directory, env['REALM'] ?? 'enterprise'),
        DOCKER_HOST: engine.dockerHost,
        LOG_FORMAT: 'json',
        ...env,
      },
    }),
  );
}

interface Outcome {
  readonly tries: number;
  readonly phases: readonly string[];
  readonly text: string;
  readonly result?: { readonly digests: readonly string[] };
  readonly error?: string;
  readonly kwargs?: object;
}

/** How a build ended, as the manager saw it. */
async function outcome(name: string, of = manager): Promise<Outcome> {
  const [line] = await of.printed(new RegExp(`^\\{"build": "${name}".*\\}$`, 'm'));
  return JSON.parse(line) as Outcome;
}

const WHOLE = ['unpacking', 'pulling', 'checking-cache', 'building', 'pushing'];

/** What a step prints that counts, a line a call, in order. */
const COUNTED = ['in the step', ...Array.from({ length: LINES }, (_, index) => index + 1)].join('\n');

async function expectPushed(name: string, { result }: Outcome): Promise<void> {
  expect(result?.digests).toHaveLength(1);
  for (const tag of ['latest', 'v1']) {
    const { headers } = await fetch(`http://${registry.host}/v2/team/${name}/manifests/${tag}`, {
      method: 'HEAD',
      headers: { accept: 'application/vnd.docker.distribution.manifest.v2+json' },
    });
    const digest = headers.get('docker-content-digest');
    expect(result?.digests).toEqual([`${registry.host}/team/${name}@${digest}`]);
  }
}

test('its builds are done one after the other, with null for what it leaves out and names that mean nothing', async () => {
  for (const name of ['completes', 'sayslittle']) {
    const ended = await outcome(name);
    expect(ended).toMatchObject({ tries: 1, phases: WHOLE });
    await expectPushed(name, ended);
  }
  expect((await outcome('completes')).text).toContain(COUNTED);
});

test('it is told of a step that fails, and tells of a cancellation by the answer to a line', async () => {
  expect(await outcome('fails')).toMatchObject({
    error: 'io.quay.builder.builderror',
    kwargs: { base_error: expect.stringContaining('exit code: 7') as string },
  });
  expect(await outcome('iscancelled')).toMatchObject({
    error: 'io.quay.builder.clientrejectedtransition',
    phases: WHOLE.slice(0, -1),
  });
});

test('it may refuse every line, with arguments or none, and take its time', async () => {
  await expectPushed('isrefused', await outcome('isrefused'));
  const slow = await outcome('isslow');
  expect(slow.text).toContain(COUNTED);
  await expectPushed('isslow', slow);
});

test.each([
  ['it breaks the connection', 'islost'],
  ['it gives the worker up, and says nothing', 'isgivenup'],
  ['it goes away and comes back without its realms', 'losesmanager'],
])('when %s in mid-build, the worker registers anew and builds again', async (_what, name) => {
  const ended = await outcome(name);
  expect(ended).toMatchObject({ tries: 2, phases: WHOLE });
  await expectPushed(name, ended);
});

test('nothing that the worker said was against WAMP or the contract, and no token is in its log', async () => {
  await outcome('losesmanager');
  expect(manager.output()).not.toContain('violation');
  expect(manager.output()).not.toContain('Traceback');
  expect(worker.output()).not.toContain(TOKEN);
  expect(worker.output()).toContain('the manager has given this worker up');
});

test('a hosted worker does its build over TLS, by an authority of its own, and ends', async () => {
  const ca = await authority('quay-builder tests');
  const server = await issue(ca, loopback);
  const file = async (name: string, content: string): Promise<string> => {
    const path = join(directory, name);
    await writeFile(path, content, { mode: 0o600 });
    return path;
  };
  const hosted = startManager(
    [build('ishosted', COUNTS)],
    { REALM: 'one-build', TOKEN },
    await file('server.pem', certificatePem(server)),
    await file('server.key', await keyPem(server)),
  );
  const one = startWorker({
    ENDPOINT: `wss://127.0.0.1:${await portOf(hosted)}`,
    TLS_CA_PATH: await file('ca.pem', certificatePem(ca)),
    REALM: 'one-build',
    TOKEN,
  });
  expect(await one.exited).toBe(0);
  await expectPushed('ishosted', await outcome('ishosted', hosted));
  expect(hosted.output()).not.toContain('violation');
});
