import { readFile } from 'node:fs/promises';
import { buffer } from 'node:stream/consumers';
import { createGzip } from 'node:zlib';
import { pack } from 'tar-stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type LabEngine, startEngine } from '../../lab/engine.ts';
import { startGitServer } from '../../lab/git-server.ts';
import { type LabPackageServer, startPackageServer } from '../../lab/package-server.ts';
import { type LabRegistry, startRegistry } from '../../lab/registry.ts';
import { systemClock } from '../../src/worker/clock.ts';
import { createEngine } from '../../src/worker/engine/index.ts';
import { createSourceFetcher } from '../../src/worker/source/index.ts';
import { startWorker } from './harness.ts';
import { LOG, type Frame, startTestManager, type TestManager } from './test-manager.ts';

/**
 * The manager's side of recorded sessions, played to our worker on a real engine and registry. What the worker says must be what
 * the recorded one said: procedures, phases, arguments, steps, result; ids and the engine's other words are its own.
 */

const RECORDED_REGISTRY = '127.0.0.1:5055';

/** The recorded contexts, rebuilt from what the recorded engine said of them. */
const contexts: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  '/ctx.tar.gz': {
    Dockerfile: 'FROM scratch\nCOPY hello.txt /hello.txt\nLABEL peer=quay-builder\n',
    'hello.txt': 'hello from a recorded build\n',
  },
  '/runfail.tar.gz': {
    Dockerfile: 'FROM scratch\nCOPY hello.txt /h\nRUN ["/nope"]\n',
    'hello.txt': 'hello\n',
  },
};

interface Recording {
  readonly worker: Frame[];
  readonly manager: Frame[];
}

async function record(name: string): Promise<Recording> {
  const path = new URL(`../fixtures/protocol/transcript-${name}.jsonl`, import.meta.url);
  const lines = (await readFile(path, 'utf8')).trim().split('\n');
  const frames = lines.map((line) => JSON.parse(line) as { dir: string; wamp?: Frame });
  const of = (dir: string): Frame[] =>
    frames.filter((each) => each.dir === dir).flatMap((each) => (each.wamp ? [each.wamp] : []));
  return { worker: of('w2m'), manager: of('m2w') };
}

/** Answers as the recorded manager did: each procedure's answers in their order, the last one again and again. */
function play({ worker, manager }: Recording): Promise<TestManager> {
  const welcome = manager.find(([type]) => type === 2);
  const answers = new Map<string, unknown[]>();
  for (const [type, request, , procedure] of worker) {
    if (type !== 48) continue;
    const result = manager.find((frame) => frame[0] === 50 && frame[1] === request);
    answers.set(String(procedure), [
      ...(answers.get(String(procedure)) ?? []),
      (result?.[3] as unknown[])[0],
    ]);
  }
  return startTestManager({
    onHello: () => welcome,
    onCall: (procedure) => {
      const queue = answers.get(procedure) ?? [];
      return queue.length > 1 ? queue.shift() : queue[0];
    },
  });
}

/** What a worker said, without ids, times, and words of the engine's. */
function story(frames: readonly Frame[], registry: string, builder: string): unknown[] {
  let heartbeats = 0;
  return frames.flatMap((frame): unknown[] => {
    const [type] = frame;
    switch (type) {
      case 1:
        return [
          [
            'HELLO',
            frame[1] === 'registration' ? 'registration' : 'own realm',
            (frame[2] as { roles: object }).roles,
          ],
        ];
      case 6:
        return [['GOODBYE']];
      case 16:
        return (heartbeats += 1) === 1 ? [['PUBLISH', frame[3]]] : [];
      case 64:
        return [['REGISTER', frame[3]]];
      case 48: {
        const kwargs = frame[5] as { phase: string; json_data: string } | undefined;
        if (frame[3] !== LOG || !kwargs) return [['CALL', frame[3], kwargs]];
        expect(Object.keys(kwargs).sort()).toEqual(['json_data', 'phase']);
        const data = JSON.parse(kwargs.json_data.replaceAll(registry, 'REGISTRY')) as {
          status_data?: object;
          stream?: string;
        };
        if ('status_data' in data) return [['PHASE', kwargs.phase, data.status_data]];
        const stream = (data.stream ?? '').trimEnd();
        // BuildKit does not tell of instructions that make no layer.
        const isStep = builder === 'classic' && /^Step \d/.test(stream);
        return isStep ? [['STEP', kwargs.phase, stream]] : [];
      }
      case 70: {
        const kwargs = frame[4] as { image_id: string; digests: string[] };
        const known = /@sha256:[0-9a-f]{64}$/;
        return [
          [
            'YIELD',
            frame[3],
            Object.keys(kwargs).sort(),
            kwargs.image_id.replace(/^sha256:[0-9a-f]{64}$/, 'ID'),
            kwargs.digests.map((digest) => digest.replace(registry, 'REGISTRY').replace(known, '@DIGEST')),
          ],
        ];
      }
      case 8:
        return [['ERROR', frame[1], frame[4], frame[5], Object.keys(frame[6] as object)]];
      default:
        return [['?', frame]];
    }
  });
}

let engine: LabEngine;
let registry: LabRegistry;
let packages: LabPackageServer;

beforeAll(async () => {
  [engine, registry, packages] = await Promise.all([startEngine(), startRegistry(), startPackageServer()]);
  for (const [path, context] of Object.entries(contexts)) {
    const tar = pack();
    for (const [name, content] of Object.entries(context)) tar.entry({ name }, content);
    tar.finalize();
    const body = await buffer(tar.pipe(createGzip()));
    packages.serve(path, { kind: 'bytes', body, contentType: 'application/gzip' });
  }
});
afterAll(() => Promise.all([engine.stop(), registry.stop(), packages.stop()]));

/** Without the classic builder's cache, which is images that have no name. Sorted: an engine lists the images of one moment in any order. */
async function namesOnEngine(): Promise<string[]> {
  const names = await engine.docker(['images', '--format', '{{.Repository}}:{{.Tag}}']);
  return names
    .split('\n')
    .filter((name) => !name.includes('<none>'))
    .sort();
}

/** Plays a recording, its URLs led to this test's servers, and answers with both stories. */
async function replay(
  name: string,
  builder: 'classic' | 'buildkit',
  git: object = {},
): Promise<{ recorded: unknown[]; said: unknown[]; answer: Frame }> {
  const recording = await record(name);
  const invocation = recording.manager.find(([type]) => type === 68);
  const kwargs = JSON.parse(
    JSON.stringify(invocation?.[5])
      .replaceAll('http://127.0.0.1:5056', packages.url)
      .replaceAll(RECORDED_REGISTRY, registry.host),
  ) as { git?: object };
  await using manager = await play(recording);
  await using worker = await startWorker({
    manager,
    engine: createEngine({ dockerHost: engine.dockerHost, builder }),
    fetchSource: createSourceFetcher(),
    clock: systemClock,
  });
  const connection = await manager.connection();
  await worker.logged('worker is ready');
  const { frame } = await connection.build({
    ...kwargs,
    ...(kwargs.git ? { git: { ...kwargs.git, ...git } } : {}),
  });
  return {
    recorded: story(recording.worker, RECORDED_REGISTRY, builder),
    said: story(connection.frames, registry.host, builder),
    answer: frame,
  };
}

describe.each(['classic', 'buildkit'] as const)('the recorded sessions, replayed on %s', (builder) => {
  it('a build from scratch, with two tags', async () => {
    const { recorded, said, answer } = await replay('success', builder);
    expect(said).toEqual(recorded);
    const { digests } = answer[4] as { digests: string[] };
    await engine.docker(['pull', digests[0] ?? '']);
  });

  it('a build whose cache is primed', async () => {
    await engine.docker(['import', '-', `${registry.host}/golden/tiny:latest`], {
      input: Buffer.alloc(1024),
    });
    await engine.docker(['push', `${registry.host}/golden/tiny:latest`]);
    const { recorded, said } = await replay('cache-primed', builder);
    expect(said).toEqual(recorded);
  });

  it('a build whose step fails, which leaves no name and no container on the engine', async () => {
    const before = await namesOnEngine();
    const { recorded, said, answer } = await replay('step-fails', builder);
    expect(said).toEqual(recorded);
    expect(answer[6]).toMatchObject({ base_error: expect.stringContaining('/nope') as string });
    expect(await namesOnEngine()).toEqual(before);
    expect(await engine.docker(['ps', '--all', '--quiet'])).toBe('');
  });

  it('a build of a commit, over http where the recorded one read a folder', async () => {
    await using git = await startGitServer();
    const sha = await git.commit('app', {
      Dockerfile: 'FROM scratch\nCOPY hello.txt /hello\n',
      'hello.txt': 'hi!\n',
    });
    const { recorded, said } = await replay('git', builder, { url: git.url('app'), sha });
    expect(said).toEqual(recorded);
  });

  it('a build of a file: URL, which ours refuses', async () => {
    const { recorded, said, answer } = await replay('git', builder);
    const same = recorded.findIndex((each) => (each as unknown[])[1] === 'pulling');
    expect(said.slice(0, same)).toEqual(recorded.slice(0, same));
    expect(answer[4]).toBe('io.quay.builder.gitfailure');
    expect(JSON.stringify(answer)).not.toContain('FAKEKEY');
  });
});
