import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { createGzip } from 'node:zlib';
import { pack } from 'tar-stream';
import { buildSchema } from '../src/contract/api.ts';
import { importBaseImage } from '../lab/base-image.ts';
import { startEngine, type LabEngine } from '../lab/engine.ts';
import { startFarm, type LabFarm } from '../lab/farm.ts';
import { startPackageServer } from '../lab/package-server.ts';
import { run } from '../lab/process.ts';
import { startRegistry } from '../lab/registry.ts';
import { median, timed, type Row } from './row.ts';

const RUNS = 7;
const USER = 'bench';
/** What the farm may cost over doing it by hand: a part of it, and a moment. */
const GOAL_RATIO = 1.05;
const GOAL_MS = 150;

/**
 * A build through the farm (submit a URL, fetch, unpack, build, push, result stored) against the same by hand (curl, tar,
 * `docker build`, `docker push`), in turn, on one engine and one registry. Five steps, a context of 20 MB. Uncached: every run has a
 * package of its own, so that every layer is new. Cached: the same package again.
 */
export async function benchBuilds(): Promise<Row[]> {
  const directory = await mkdtemp(join(tmpdir(), 'bench-builds-'));
  try {
    await using bases = await startRegistry();
    await using engine = await startEngine({ mirror: bases.host });
    await importBaseImage(engine, `${bases.host}/library/busybox:stable`);
    await engine.docker(['push', '--quiet', `${bases.host}/library/busybox:stable`]);
    await engine.docker(['pull', '--quiet', 'busybox:stable']);
    await using packages = await startPackageServer();
    await using farm = await startFarm({ directory, user: USER });
    await farm.startWorker(engine);
    await engine.docker(['login', '--username', USER, '--password-stdin', farm.registry.host], {
      input: farm.token,
    });

    const serve = async (): Promise<string> => {
      const path = `/${randomBytes(8).toString('hex')}.tar.gz`;
      packages.serve(path, { kind: 'bytes', body: await makePackage(), contentType: 'application/gzip' });
      return packages.url + path;
    };
    const times = {
      farmNew: [] as number[],
      handNew: [] as number[],
      farmOld: [] as number[],
      handOld: [] as number[],
    };
    for (let round = 0; round < RUNS; round += 1) {
      const [forFarm, forHand] = [await serve(), await serve()];
      times.farmNew.push(await timed(() => throughFarm(farm, forFarm)));
      times.handNew.push(await timed(() => byHand(engine, farm, directory, forHand)));
      times.farmOld.push(await timed(() => throughFarm(farm, forFarm)));
      times.handOld.push(await timed(() => byHand(engine, farm, directory, forHand)));
    }
    return [
      row('a build through the farm against by hand, uncached', times.farmNew, times.handNew),
      row('a build through the farm against by hand, cached', times.farmOld, times.handOld),
    ];
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function row(name: string, farm: readonly number[], hand: readonly number[]): Row {
  const [ours, theirs] = [median(farm), median(hand)];
  return {
    name,
    value: ours / theirs,
    unit: 'ratio',
    baseline: `by hand ${theirs.toFixed(0)} ms, farm ${ours.toFixed(0)} ms, medians of ${RUNS}`,
    goal: `≤ ${GOAL_RATIO} × by hand + ${GOAL_MS} ms`,
    met: ours <= theirs * GOAL_RATIO + GOAL_MS,
  };
}

/** A gzip'd tar: a Dockerfile of five steps, and 20 MB of files that nobody has seen before. */
async function makePackage(): Promise<Buffer> {
  const tar = pack();
  tar.entry(
    { name: 'Dockerfile' },
    'FROM busybox:stable\nWORKDIR /app\nCOPY . /app\nRUN ls /app/data | wc -l > count\nRUN cat data/0.bin > first\nCMD ["cat", "count"]\n',
  );
  for (let file = 0; file < 200; file += 1) tar.entry({ name: `data/${file}.bin` }, randomBytes(100_000));
  tar.finalize();
  return buffer(tar.pipe(createGzip({ level: 1 })));
}

async function throughFarm({ url, token }: LabFarm, packageUrl: string): Promise<void> {
  const authorization = `Bearer ${token}`;
  const answer = await fetch(`${url}/api/v1/builds`, {
    method: 'POST',
    headers: { authorization, 'content-type': 'application/json' },
    body: JSON.stringify({ repository: 'bench/farm', build_package: packageUrl }),
  });
  const { id } = buildSchema.parse(await answer.json());
  const build = `${url}/api/v1/builds/${id}`;
  const log = await fetch(`${build}/log`, { headers: { authorization, accept: 'text/event-stream' } });
  const events = await log.text();
  const ended = buildSchema.parse(await (await fetch(build, { headers: { authorization } })).json());
  if (ended.state !== 'complete') throw new Error(`a build ended as ${ended.state}: ${events.slice(-2000)}`);
}

async function byHand(
  engine: LabEngine,
  farm: LabFarm,
  directory: string,
  packageUrl: string,
): Promise<void> {
  const folder = await mkdtemp(join(directory, 'hand-'));
  await run('sh', ['-c', 'curl -sS "$1" | tar xz -C "$2"', 'sh', packageUrl, folder]);
  const reference = `${farm.registry.host}/bench/hand:latest`;
  await engine.docker(['build', '--quiet', '--tag', reference, folder], { env: { DOCKER_BUILDKIT: '1' } });
  await engine.docker(['push', '--quiet', reference]);
  await rm(folder, { recursive: true });
}
