/**
 * `make demo`: a manager, an enterprise worker, a registry and two engines of its own on this machine; one build from the
 * submission to the image that runs. What makes the next demo faster (the engine's layers, the base image) stays in `.demo/`.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { buildSchema, type Build } from '../../src/contract/api.ts';
import { importBaseImage } from '../base-image.ts';
import { startEngine, type LabEngine } from '../engine.ts';
import { startFarm, type LabFarm } from '../farm.ts';
import { removeWithProcesses } from '../orphans.ts';
import { run } from '../process.ts';
import { startRegistry, type LabRegistry } from '../registry.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const KEPT = join(ROOT, '.demo');
const FARM = join(KEPT, 'farm');
const HELLO = join(ROOT, 'examples/hello');
const QUAY_BUILD = join(ROOT, 'bin/quay-build');
/** What `examples/hello` is built on; a registry of the demo's own serves it in the place of the hub. */
const BASE_REPOSITORY = 'library/busybox';
const BASE_TAG = 'stable';
const REPOSITORY = 'demo/hello';
const USER = 'demo';

const { values: options } = parseArgs({
  options: { source: { type: 'string' }, keep: { type: 'boolean', default: false } },
});
const started = Date.now();
const stack = new AsyncDisposableStack();
/** Ctrl-C. What is being started then is ended as soon as it is there. */
const interruption = new AbortController();
for (const [signal, exitCode] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const) {
  process.on(signal, () => {
    if (interruption.signal.aborted) return;
    process.exitCode = exitCode;
    say('stopping what the demo started');
    interruption.abort();
  });
}

const work = demo();
try {
  process.exitCode = await Promise.race([work, interrupted()]);
} catch (error) {
  if (!interruption.signal.aborted) {
    process.exitCode = 1;
    console.error(`the demo failed: ${error instanceof Error ? error.message.trim() : String(error)}`);
  }
} finally {
  await stack.disposeAsync();
  // What was still being started when everything else ended.
  await work.catch(() => undefined);
}

/** Never resolves, and rejects at Ctrl-C. */
async function interrupted(): Promise<never> {
  if (!interruption.signal.aborted) await once(interruption.signal, 'abort');
  throw new Error('interrupted');
}

/** Keeps what is being started until the demo ends, or ends it at once when that was interrupted. */
async function own<T extends AsyncDisposable>(starting: Promise<T>): Promise<T> {
  const started = await starting;
  if (!interruption.signal.aborted) return stack.use(started);
  await started[Symbol.asyncDispose]();
  return interrupted();
}

/** Runs the demo and answers with its exit code. */
async function demo(): Promise<number> {
  await mkdir(KEPT, { recursive: true });
  await lock();
  // A farm that is new each time: the builds of an interrupted demo would go first else.
  await removeWithProcesses(FARM);
  say('an open registry of its own, for the base image');
  const bases = await own(startRegistry({ kind: 'open' }, { storage: join(KEPT, 'bases') }));
  say('a private engine for the worker (your engine, images and ports are not touched)');
  const engine = await own(startEngine({ dataRoot: join(KEPT, 'engine'), mirror: bases.host }));
  await makeBaseImage(engine, bases);
  say('a manager with its own PostgreSQL, and a registry that takes the credentials it mints');
  const farm = await own(startFarm({ directory: FARM, user: USER }));
  say('an enterprise worker');
  await farm.startWorker(engine);

  const source = options.source ?? HELLO;
  say(`submitting ${source}`);
  const build = await submitAndFollow(farm, source);
  const [tag = '', digest] = Object.entries(build.digests)[0] ?? [];
  if (build.state !== 'complete' || !digest) {
    console.log(`the build ended as ${build.state}`);
    return 1;
  }
  const reference = `${build.registry}/${build.repository}@${digest}`;
  await pullBackAndRun(farm, reference);
  say(`done in ${((Date.now() - started) / 1000).toFixed(1)} s`);
  if (options.keep) await tellHowToUse(farm, engine, build, tag);
  console.log(`built ${reference}`);
  if (options.keep) await interrupted();
  return 0;
}

/** Two demos cannot share what is kept. Fails when another one runs. */
async function lock(): Promise<void> {
  const path = join(KEPT, 'pid');
  const other = Number(await readFile(path, 'utf8').catch(() => ''));
  const command = await readFile(`/proc/${other}/cmdline`, 'utf8').catch(() => '');
  if (other > 0 && command.includes('lab/demo/main.ts')) {
    throw new Error(
      `another one runs in this folder, as process ${other}: end it first, with Ctrl-C or kill ${other}`,
    );
  }
  await writeFile(path, String(process.pid));
  stack.defer(() => rm(path, { force: true }));
}

function say(what: string): void {
  console.log(process.stdout.isTTY ? `\u001b[36m▸\u001b[0m ${what}` : `> ${what}`);
}

/** Makes the base image from this machine's busybox and pushes it to the demo's own registry, once. */
async function makeBaseImage(onEngine: LabEngine, registry: LabRegistry): Promise<void> {
  const known = await fetch(`http://${registry.host}/v2/${BASE_REPOSITORY}/tags/list`);
  if (known.ok) return;
  say(`making the base image ${BASE_REPOSITORY}:${BASE_TAG}`);
  const reference = `${registry.host}/${BASE_REPOSITORY}:${BASE_TAG}`;
  await importBaseImage(onEngine, reference);
  await onEngine.docker(['push', '--quiet', reference]);
}

/** Submits as a user would, shows the log as it comes, and answers with the build as it ended. */
async function submitAndFollow({ cliEnv }: LabFarm, from: string): Promise<Build> {
  const env = { ...cliEnv, TERM: process.env['TERM'], HOME: process.env['HOME'] };
  const submitted = await run(
    QUAY_BUILD,
    ['submit', from, '--repository', REPOSITORY, '--detach', '--json'],
    { env },
  );
  const { id } = buildSchema.parse(JSON.parse(submitted));
  const follower = spawn(QUAY_BUILD, ['log', id, '--follow'], {
    env,
    stdio: ['ignore', 'inherit', 'inherit'],
    detached: true,
    signal: interruption.signal,
  });
  await once(follower, 'close');
  return buildSchema.parse(JSON.parse(await run(QUAY_BUILD, ['show', id, '--json'], { env })));
}

/** Proves that the image is in the registry: an engine that has never seen it pulls it by its digest and runs it. */
async function pullBackAndRun({ token, registry }: LabFarm, reference: string): Promise<void> {
  say('pulling it back by its digest, into a clean engine');
  const clean = await own(startEngine());
  await clean.docker(['login', '--username', USER, '--password-stdin', registry.host], { input: token });
  await clean.docker(['pull', '--quiet', reference]);
  if (options.source !== undefined) return;
  say('running it');
  process.stdout.write(await clean.docker(['run', '--rm', '--network', 'none', reference]));
}

async function tellHowToUse(running: LabFarm, engine: LabEngine, build: Build, tag: string): Promise<void> {
  const tokenFile = join(KEPT, 'token');
  await writeFile(tokenFile, running.token, { mode: 0o600 });
  console.log(`
Everything is left running until Ctrl-C. From another terminal:

  export QUAY_BUILD_URL=${running.url} QUAY_BUILD_TOKEN=$(cat ${tokenFile})
  bin/quay-build submit YOUR_FOLDER --repository demo/yours
  bin/quay-build list
  bin/quay-build show ${build.id}
  SERVER=${running.wampUrl} DOCKER_HOST=${engine.dockerHost} bin/quay-builder   # one more worker
  docker --host ${engine.dockerHost} images

  API        ${running.url}/openapi.json
  registry   ${running.registry.host}/${build.repository}:${tag}  (docker login, user ${USER}, password: the token)
`);
}
