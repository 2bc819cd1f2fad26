import type { Dirent } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { expect } from 'vitest';
import { buildSchema, type Build, type BuildRequestBody } from '../../src/contract/api.ts';
import { isFinal } from '../../src/contract/phases.ts';
import { importBaseImage } from '../../lab/base-image.ts';
import { startEngine, type LabEngine, type LabEngineOptions } from '../../lab/engine.ts';
import { startFarm, type LabFarm, type LabFarmOptions } from '../../lab/farm.ts';
import { folderPrefix } from '../../lab/orphans.ts';
import type { LabProcess } from '../../lab/process.ts';
import { startRegistry, type LabRegistry } from '../../lab/registry.ts';

const QUAY_BUILD = resolve(import.meta.dirname, '../../bin/quay-build');

/** Shorter than a test's time, so that what came is told. */
const FOLLOW_MS = 120_000;

/** A farm on an engine of its own, with a base image `busybox:stable` that any build may use. */
export interface E2e extends AsyncDisposable {
  readonly engine: LabEngine;
  /** The open registry that serves `busybox:stable` in the place of the hub. */
  readonly bases: LabRegistry;
  readonly farm: LabFarm;
  readonly directory: string;
}

interface E2eOptions extends Pick<LabFarmOptions, 'registryAuth' | 'several' | 'onOutput'> {
  /** More of each manager's environment. */
  readonly env?: NodeJS.ProcessEnv | ((engine: LabEngine) => NodeJS.ProcessEnv);
  /** Docker's engine when absent. */
  readonly startEngine?: (options: Pick<LabEngineOptions, 'mirror'>) => Promise<LabEngine>;
  /** What the manager's EXECUTORS_FILE, `executors.json` in the farm's directory, holds. */
  readonly executors?: (engine: LabEngine) => readonly object[];
}

export async function startE2e({
  startEngine: start = startEngine,
  executors,
  env,
  ...options
}: E2eOptions = {}): Promise<E2e> {
  await using stack = new AsyncDisposableStack();
  const directory = await mkdtemp(`${folderPrefix()}e2e-`);
  stack.defer(() => rm(directory, { recursive: true, force: true, maxRetries: 10 }));
  const bases = stack.use(await startRegistry());
  const engine = stack.use(await start({ mirror: bases.host }));
  const base = `${bases.host}/library/busybox:stable`;
  await importBaseImage(engine, base);
  await engine.docker(['push', '--quiet', base]);
  await engine.docker(['rmi', base]);
  const executorsFile = join(directory, 'executors.json');
  if (executors) await writeFile(executorsFile, JSON.stringify(executors(engine)));
  const farm = stack.use(
    await startFarm({
      directory,
      env: {
        ...(executors ? { EXECUTORS_FILE: executorsFile } : {}),
        ...(typeof env === 'function' ? env(engine) : env),
      },
      ...options,
    }),
  );
  const started = stack.move();
  return { engine, bases, farm, directory, [Symbol.asyncDispose]: () => started.disposeAsync() };
}

/** Submits a build by JSON, or with a package by multipart. Fails when it is refused. */
export async function submit(
  { url }: Pick<LabFarm, 'url'>,
  request: BuildRequestBody,
  packageBytes?: Uint8Array<ArrayBuffer>,
): Promise<Build> {
  const answer = await fetch(`${url}/api/v1/builds`, { method: 'POST', ...body(request, packageBytes) });
  const json: unknown = await answer.json();
  if (!answer.ok) throw new Error(`refused with ${answer.status}: ${JSON.stringify(json)}`);
  return buildSchema.parse(json);
}

function body(request: BuildRequestBody, packageBytes?: Uint8Array<ArrayBuffer>): RequestInit {
  const json = JSON.stringify(request);
  if (!packageBytes) return { headers: { 'content-type': 'application/json' }, body: json };
  const form = new FormData();
  form.append('request', json);
  form.append('package', new Blob([packageBytes]), 'package');
  return { body: form };
}

export async function show({ url }: Pick<LabFarm, 'url'>, id: string): Promise<Build> {
  return buildSchema.parse(await (await fetch(`${url}/api/v1/builds/${id}`)).json());
}

/** Waits until a build has ended, by following it. */
export async function ended(farm: Pick<LabFarm, 'url'>, id: string): Promise<Build> {
  await (
    await fetch(`${farm.url}/api/v1/builds/${id}/log`, { headers: { accept: 'text/event-stream' } })
  ).text();
  return show(farm, id);
}

export async function logOf({ url }: Pick<LabFarm, 'url'>, id: string): Promise<string> {
  return (await fetch(`${url}/api/v1/builds/${id}/log`)).text();
}

/** Follows a build until an event says so; answers with the events up to then. */
export async function followUntil(
  { url }: Pick<LabFarm, 'url'>,
  id: string,
  isEnough: (events: string) => boolean,
): Promise<string> {
  const answer = await fetch(`${url}/api/v1/builds/${id}/log`, {
    headers: { accept: 'text/event-stream' },
    signal: AbortSignal.timeout(FOLLOW_MS),
  });
  let events = '';
  if (!answer.body) throw new Error('the log has no body');
  try {
    for await (const piece of answer.body.pipeThrough(new TextDecoderStream())) {
      events += piece;
      if (isEnough(events)) return events;
    }
  } catch (cause) {
    throw new Error(`the log was followed in vain: ${events}`, { cause });
  }
  throw new Error(`the log ended before that: ${events}`);
}

/** Runs `bin/quay-build` as a user would, with this on its standard input. */
export async function quayBuild(
  farm: LabFarm,
  args: readonly string[],
  input = '',
): Promise<{ code: number; stdout: string; stderr: string }> {
  const child = spawn(QUAY_BUILD, args, { env: farm.cliEnv });
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close') as Promise<[number]>,
  ]);
  return { code, stdout, stderr };
}

/** What a registry says of a tag: the digest of its manifest. */
export async function digestOf(
  registry: LabRegistry,
  repository: string,
  tag: string,
): Promise<string | null> {
  const answer = await fetch(`http://${registry.host}/v2/${repository}/manifests/${tag}`, {
    method: 'HEAD',
    headers: { accept: 'application/vnd.docker.distribution.manifest.v2+json' },
  });
  return answer.headers.get('docker-content-digest');
}

/** Whatever a folder's files hold, as one text of bytes; what goes meanwhile is left out. */
export async function contents(folder: string): Promise<string> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  return (await Promise.all(entries.map((entry) => contentOf(folder, entry)))).join('\0');
}

async function contentOf(folder: string, entry: Dirent): Promise<string> {
  const path = join(folder, entry.name);
  if (entry.isDirectory()) return contents(path);
  return entry.isFile() ? readFile(path, 'latin1').catch(() => '') : '';
}

/** The folders of builds that the workers of a farm have. */
export async function buildFolders({ directory }: Pick<E2e, 'directory'>): Promise<string[]> {
  const workers = await readdir(join(directory, 'work'), { withFileTypes: true });
  const homes = workers
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => join(directory, 'work', name));
  const names = await Promise.all(homes.map((home) => readdir(home)));
  return names.flat().filter((name) => /^[0-9a-f-]{36}/.test(name));
}

/** Where any of these values is: in what the worker and the manager log, keep and leave, or in what else was seen. */
export async function placesOf(
  values: readonly string[],
  { farm, directory }: Pick<E2e, 'farm' | 'directory'>,
  worker: Pick<LabProcess, 'output'>,
  others: Readonly<Record<string, string>>,
): Promise<string[]> {
  const seen = {
    ...others,
    workerLog: worker.output(),
    managerLog: farm.manager.output(),
    data: await contents(farm.dataDirectory),
    work: await contents(join(directory, 'work')),
  };
  return Object.entries(seen).flatMap(([where, text]) =>
    values.filter((value) => text.includes(value)).map(() => where),
  );
}

/** The command lines of all processes of this machine. */
export async function commandLines(): Promise<string> {
  return (await processes()).map(({ command }) => command).join('\n');
}

async function processes(): Promise<readonly { readonly pid: number; readonly command: string }[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  return Promise.all(
    pids.map(async (pid) => ({
      pid: Number(pid),
      command: await readFile(`/proc/${pid}/cmdline`, 'utf8').then(
        (line) => line.split('\0').join(' ').trim(),
        () => '',
      ),
    })),
  );
}

let commands = 0;

/** A command that runs until it is stopped, unlike any other on this machine. */
export function endlessCommand(): string {
  commands += 1;
  return `sleep ${process.pid}${String(commands).padStart(4, '0')}`;
}

/** A Dockerfile whose step says that it has begun, and then runs this command, which may also be ended from outside. */
export function endlessBuild(): { dockerfile: Uint8Array<ArrayBuffer>; command: string } {
  const command = endlessCommand();
  const text = `FROM busybox:stable\nRUN echo it has begun; ${command} || true\n`;
  return { dockerfile: new TextEncoder().encode(text), command };
}

/** Whether the step of such a build has begun, in any try. */
export function hasBegun(events: string): boolean {
  return /(?:"text":"|\\n)it has begun/.test(events);
}

/** Whether it has begun in the second try. */
export function hasBegunAgain(events: string): boolean {
  return /"try":2,.*(?:"text":"|\\n)it has begun/.test(events);
}

/** Whether there is a process of this command. */
export async function isRunning(command: string): Promise<boolean> {
  return (await processes()).some((each) => each.command === command);
}

/** Ends a command wherever it runs, also in a try that began later, until its build has ended; answers with that. */
export async function letGo(farm: Pick<LabFarm, 'url'>, id: string, command: string): Promise<Build> {
  await expect
    .poll(async () => {
      await endCommand(command);
      return isFinal((await show(farm, id)).state);
    })
    .toBe(true);
  return show(farm, id);
}

/** Ends a command wherever it runs by now. */
export async function endCommand(command: string): Promise<void> {
  for (const each of await processes()) if (each.command === command) end(each.pid);
}

function end(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended meanwhile.
  }
}
