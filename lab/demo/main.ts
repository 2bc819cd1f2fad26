/**
 * `make demo`: a manager, an enterprise worker, a registry and two engines of its own on this machine; one build from the
 * submission to the image that runs. What makes the next demo faster (layers, database) stays in `.demo/`.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { buildSchema, type Build } from '../../src/contract/api.ts';
import { importBaseImage } from '../base-image.ts';
import { startEngine, type LabEngine } from '../engine.ts';
import { startFarm, type LabFarm } from '../farm.ts';
import { run } from '../process.ts';
import { startRegistry, type LabRegistry } from '../registry.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const KEPT = join(ROOT, '.demo');
const HELLO = join(ROOT, 'examples/hello');
const QUAY_BUILD = join(ROOT, 'bin/quay-build');
/** What `examples/hello` is built on; a registry of the demo's own serves it in the place of the hub. */
const BASE_REPOSITORY = 'library/busybox';
const BASE_TAG = 'stable';
const REPOSITORY = 'demo/hello';

const { values: options } = parseArgs({
  options: { source: { type: 'string' }, keep: { type: 'boolean', default: false } },
});
const started = Date.now();
await using stack = new AsyncDisposableStack();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    say('stopping what the demo started');
    void stack.disposeAsync().finally(() => process.exit(signal === 'SIGINT' ? 130 : 143));
  });
}

await mkdir(KEPT, { recursive: true });
say('an open registry of its own, for the base image');
const bases = stack.use(await startRegistry({ kind: 'open' }, { storage: join(KEPT, 'bases') }));
say('a private engine for the worker (your engine, images and ports are not touched)');
const engine = stack.use(await startEngine({ dataRoot: join(KEPT, 'engine'), mirror: bases.host }));
await makeBaseImage(engine, bases);
say('a manager with its own PostgreSQL, and a registry that takes the credentials it mints');
const farm = stack.use(await startDemoFarm());
say('an enterprise worker');
await farm.startWorker(engine);

const source = options.source ?? HELLO;
say(`submitting ${source}`);
const build = await submitAndFollow(farm, source);
const [tag = '', digest] = Object.entries(build.digests)[0] ?? [];
if (build.state !== 'complete' || !digest) {
  console.log(`the build ended as ${build.state}`);
  process.exitCode = 1;
} else {
  const reference = `${build.registry}/${build.repository}@${digest}`;
  await pullBackAndRun(farm, reference);
  if (options.keep) await keepRunning(farm, build, tag);
  await stack.disposeAsync();
  say(`done in ${((Date.now() - started) / 1000).toFixed(1)} s`);
  console.log(`built ${reference}`);
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

async function startDemoFarm(): Promise<LabFarm & { token: string }> {
  const tokensFile = join(KEPT, 'api-tokens.json');
  const token = (
    await run(join(ROOT, 'bin/quay-build-manager'), [
      'token',
      'demo',
      '--scope',
      'admin',
      '--file',
      tokensFile,
    ])
  ).trim();
  const started = await startFarm({ directory: join(KEPT, 'farm'), env: { API_TOKENS_FILE: tokensFile } });
  return { ...started, token, cliEnv: { ...started.cliEnv, QUAY_BUILD_TOKEN: token } };
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
  const follower = spawn(QUAY_BUILD, ['log', id, '--follow'], { env, stdio: 'inherit' });
  await once(follower, 'close');
  return buildSchema.parse(JSON.parse(await run(QUAY_BUILD, ['show', id, '--json'], { env })));
}

/** Proves that the image is in the registry: an engine that has never seen it pulls it by its digest and runs it. */
async function pullBackAndRun(
  { token, registry }: LabFarm & { token: string },
  reference: string,
): Promise<void> {
  say('pulling it back by its digest, into a clean engine');
  await using clean = await startEngine();
  await clean.docker(['login', '--username', 'demo', '--password-stdin', registry.host], { input: token });
  await clean.docker(['pull', '--quiet', reference]);
  if (options.source !== undefined) return;
  say('running it');
  process.stdout.write(await clean.docker(['run', '--rm', '--network', 'none', reference]));
}

async function keepRunning(running: LabFarm & { token: string }, build: Build, tag: string): Promise<void> {
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
  registry   ${running.registry.host}/${build.repository}:${tag}  (docker login, user demo, password: the token)
`);
  await new Promise(() => undefined);
}
