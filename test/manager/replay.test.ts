import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import type { BuildRequestBody } from '../../src/contract/api.ts';
import { startFarm, type LabFarm } from '../../lab/farm.ts';
import { startGitServer, type LabGitServer } from '../../lab/git-server.ts';
import { pushTinyImage } from '../../lab/tiny-image.ts';
import { ended, logOf, submit } from '../e2e/support.ts';

/**
 * The worker's side of the recorded sessions, played frame by frame to our manager: it must answer every frame as the recorded
 * manager did, ids, realms, URLs and credentials apart, and come to the same end.
 */

type Frame = readonly unknown[];

interface Line {
  readonly dir: 'w2m' | 'm2w';
  readonly wamp: Frame;
}

const HELLO = 1;
const WELCOME = 2;
const RESULT = 50;
const INVOCATION = 68;

let directory: string;
let farm: LabFarm;
let git: LabGitServer;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'qlab-replay-'));
  farm = await startFarm({ directory, registryAuth: 'open' });
  git = await startGitServer();
});
afterAll(async () => {
  await git.stop();
  await farm.stop();
  await rm(directory, { recursive: true, force: true });
});

async function record(name: string): Promise<Line[]> {
  const path = new URL(`../fixtures/protocol/transcript-${name}.jsonl`, import.meta.url);
  return (await readFile(path, 'utf8'))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Partial<Line>)
    .filter((line): line is Line => line.wamp !== undefined);
}

/** Plays a recording to the manager, submitting the build where the recorded manager hands one over. */
async function play(
  name: string,
  request: BuildRequestBody,
): Promise<{ id: string; pairs: [Frame, Frame][] }> {
  const socket = new WebSocket(farm.wampUrl, ['wamp.2.json']);
  const incoming: Frame[] = [];
  let wake = (): void => undefined;
  socket.on('message', (data: Buffer) => {
    incoming.push(JSON.parse(data.toString()) as Frame);
    wake();
  });
  await once(socket, 'open');
  const next = async (): Promise<Frame> => {
    for (;;) {
      const frame = incoming.shift();
      if (frame) return frame;
      await new Promise<void>((resolve) => (wake = resolve));
    }
  };

  let id = '';
  let realm = '';
  let invocation: unknown;
  const pairs: [Frame, Frame][] = [];
  for (const { dir, wamp } of await record(name)) {
    if (dir === 'w2m') {
      socket.send(JSON.stringify(rewrite(wamp, realm, invocation)));
      continue;
    }
    if (wamp[0] === INVOCATION) ({ id } = await submit(farm, request));
    const actual = await next();
    pairs.push([wamp, actual]);
    if (wamp[0] === RESULT && isUuid(wamp)) realm = String((actual[3] as unknown[])[0]);
    if (wamp[0] === INVOCATION) invocation = actual[1];
  }
  await ended(farm, id);
  socket.close();
  await once(socket, 'close');
  return { id, pairs };
}

/** The recorded frame with the realm and the invocation's id that this manager gave. */
function rewrite(frame: Frame, realm: string, invocation: unknown): Frame {
  const [type, second, third, ...rest] = frame;
  if (type === HELLO && second !== 'registration') return [type, realm, third, ...rest];
  if (type === 70) return [type, invocation, third, ...rest];
  if (type === 8 && second === INVOCATION) return [type, second, invocation, ...rest];
  return frame;
}

function isUuid(frame: Frame): boolean {
  return /^[0-9a-f-]{36}$/.test(String((frame[3] as unknown[] | undefined)?.[0]));
}

/** What of an answer must be the same: its type, the request that it answers, its arguments, the names of its keywords. */
function essence(frame: Frame): unknown {
  const [type, request, , , args, kwargs] = frame;
  switch (type) {
    case WELCOME:
      return [type];
    case RESULT:
      return [type, request, isUuid(frame) ? 'a realm' : frame[3]];
    case INVOCATION:
      return [type, args, shape(kwargs)];
    case 6:
      return [type];
    default:
      return [type, request];
  }
}

function shape(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return typeof value;
  if (Array.isArray(value)) return value.map(shape);
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, each]) => [key, shape(each)]),
  );
}

const PACKAGE = 'http://127.0.0.1:5056/ctx.tar.gz';

it('serves the deployed worker whose build succeeds', async () => {
  const { id, pairs } = await play('success', {
    repository: 'golden/tiny',
    build_package: PACKAGE,
    tag_names: ['latest', 'v1'],
  });
  for (const [recorded, actual] of pairs) expect(essence(actual)).toEqual(essence(recorded));
  const digest = 'sha256:4f7ee84ee8db430a5942b36894375eb11f2b7089499920eaf6f18cd0d6cae7b0';
  expect(await ended(farm, id)).toMatchObject({
    state: 'complete',
    progress: { step: 3, steps: 3, instruction: 'LABEL peer=quay-builder' },
    // One digest for two tags: it is both tags'.
    digests: { latest: digest, v1: digest },
    tries: [{ number: 1, outcome: 'complete', phase: 'pushing' }],
  });
  const log = await logOf(farm, id);
  expect(log).toContain('Step 1/3 : FROM scratch\n');
  expect(log).toContain('Successfully built 1bddc969579f');
});

it('names the tag to prime the cache with, as the recorded manager did', async () => {
  // The recorded worker pushed it; to our registry, it only says so.
  await pushTinyImage(farm.registry.host, 'golden/tiny', 'latest');
  let id = '';
  const differing = async (): Promise<unknown> => {
    const played = await play('cache-primed', {
      repository: 'golden/tiny',
      build_package: PACKAGE,
      tag_names: ['latest'],
    });
    ({ id } = played);
    return played.pairs.filter(
      ([recorded, actual]) => !isDeepStrictEqual(essence(actual), essence(recorded)),
    );
  };
  // None is named where it takes a second to find it, as on a machine that does much else: a later build is told.
  await expect.poll(differing, { interval: 1_000, timeout: 150_000 }).toEqual([]);
  expect(await ended(farm, id)).toMatchObject({ state: 'complete' });
});

it("ends a build whose step fails, with the worker's own words", async () => {
  const { id, pairs } = await play('step-fails', {
    repository: 'golden/broken',
    build_package: 'http://127.0.0.1:5056/runfail.tar.gz',
  });
  for (const [recorded, actual] of pairs) expect(essence(actual)).toEqual(essence(recorded));
  const { state, error, tries } = await ended(farm, id);
  expect({ state, tries: tries.length }).toEqual({ state: 'error', tries: 1 });
  expect(error).toMatchObject({ code: 'builderror' });
  expect(error?.base_error).toContain('exec: "/nope"');
});

it('hands over a commit as the recorded manager did', async () => {
  const sha = await git.commit('app', {
    Dockerfile: 'FROM scratch\nCOPY hello.txt /hello\n',
    'hello.txt': 'x',
  });
  const { id, pairs } = await play('git', {
    repository: 'golden/fromgit',
    git: { url: git.url('app'), ref: 'main' },
  });
  for (const [recorded, actual] of pairs) expect(essence(actual)).toEqual(essence(recorded));
  const handed = pairs.find(([recorded]) => recorded[0] === INVOCATION)?.[1][5];
  expect(handed).toMatchObject({
    git: { url: git.url('app'), sha, private_key: '' },
    dockerfile_path: 'Dockerfile',
  });
  expect(await ended(farm, id)).toMatchObject({ state: 'complete' });
});
