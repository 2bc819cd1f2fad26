import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
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
/** Of builds of 200 MB, for each of which packages are made anew. */
const LARGE_RUNS = 5;
const USER = 'bench';
/** What the farm may cost over doing it by hand: a part of it, and a moment. */
const GOAL_RATIO = 1.05;
const GOAL_MS = 150;

/** A Dockerfile of five steps, and what it copies: 20 MB of files. */
const SMALL = {
  dockerfile:
    'FROM busybox:stable\nWORKDIR /app\nCOPY . /app\nRUN ls /app/data | wc -l > count\nRUN cat data/0.bin > first\nCMD ["cat", "count"]\n',
  files: 200,
};
/** 200 MB that stay, and the one file that changes behind them, as in an image of dependencies and a program. */
const LARGE = {
  dockerfile:
    'FROM busybox:stable\nWORKDIR /app\nCOPY data /app/data\nCOPY src /app/src\nRUN wc -c src/main > size\nCMD ["cat", "size"]\n',
  files: 2_000,
};
const FILE_BYTES = 100_000;
const LONG_AGO = new Date('2024-01-01T00:00:00Z');

/** The times of one kind of build, in milliseconds. */
interface Times {
  readonly farm: number[];
  readonly hand: number[];
}

/** Does a build of the package at a URL. */
type Build = (packageUrl: string) => Promise<void>;

/**
 * A build through the farm (submit a URL, fetch, unpack, build, push, result stored) against the same by hand (curl, tar,
 * `docker build`, `docker push`), in turn, on one engine and one registry. Uncached: every run has a package of its own, so that every layer
 * is new. Cached: the same package again. One file changed: a context of 200 MB that is on the engine, but for that file.
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

    const serve = (body: Buffer): string => {
      const path = `/${randomBytes(8).toString('hex')}.tar.gz`;
      packages.serve(path, { kind: 'bytes', body, contentType: 'application/gzip' });
      return packages.url + path;
    };
    const folder = join(directory, 'hand');
    const throughFarm: Build = (url) => buildThroughFarm(farm, url);
    const byHand: Build = (url) => buildByHand(engine, farm, folder, url);

    const [uncached, cached, changed] = [newTimes(), newTimes(), newTimes()];
    for (let round = 0; round < RUNS; round += 1) {
      const [forFarm, forHand] = [
        serve(await makePackage(SMALL, newData(SMALL.files))),
        serve(await makePackage(SMALL, newData(SMALL.files))),
      ];
      uncached.farm.push(await timed(() => throughFarm(forFarm)));
      uncached.hand.push(await timed(() => byHand(forHand)));
      cached.farm.push(await timed(() => throughFarm(forFarm)));
      cached.hand.push(await timed(() => byHand(forHand)));
    }
    const data = newData(LARGE.files);
    const first = serve(await makePackage(LARGE, data));
    await throughFarm(first);
    await byHand(first);
    for (let round = 0; round < LARGE_RUNS; round += 1) {
      const next = serve(await makePackage(LARGE, data));
      changed.farm.push(await timed(() => throughFarm(next)));
      // Its own change: the engine has what the farm built.
      const another = serve(await makePackage(LARGE, data));
      changed.hand.push(await timed(() => byHand(another)));
    }
    return [
      row('uncached', uncached),
      row('cached', cached),
      row('one file of a 200 MB context changed', changed),
    ];
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function newTimes(): Times {
  return { farm: [], hand: [] };
}

function row(what: string, { farm, hand }: Times): Row {
  const [ours, theirs] = [median(farm), median(hand)];
  return {
    name: `a build through the farm against by hand, ${what}`,
    value: ours / theirs,
    unit: 'ratio',
    baseline: `by hand ${theirs.toFixed(0)} ms, farm ${ours.toFixed(0)} ms, medians of ${farm.length}`,
    goal: `≤ ${GOAL_RATIO} × by hand + ${GOAL_MS} ms`,
    met: ours <= theirs * GOAL_RATIO + GOAL_MS,
  };
}

/** Files that nobody has seen before. */
function newData(files: number): Buffer[] {
  return Array.from({ length: files }, () => randomBytes(FILE_BYTES));
}

/** A gzip'd tar of a Dockerfile, these files, which are old, and one that is new. */
async function makePackage(
  { dockerfile }: { readonly dockerfile: string },
  data: readonly Buffer[],
): Promise<Buffer> {
  const tar = pack();
  const packed = buffer(tar.pipe(createGzip({ level: 1 })));
  tar.entry({ name: 'Dockerfile', mtime: LONG_AGO }, dockerfile);
  for (const [file, content] of data.entries()) {
    tar.entry({ name: `data/${file}.bin`, mtime: LONG_AGO }, content);
  }
  tar.entry({ name: 'src/main' }, randomBytes(FILE_BYTES));
  tar.finalize();
  return packed;
}

async function buildThroughFarm({ url, token }: LabFarm, packageUrl: string): Promise<void> {
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

/** In one folder, from which the engine's client sends what has changed. */
async function buildByHand(
  engine: LabEngine,
  farm: LabFarm,
  folder: string,
  packageUrl: string,
): Promise<void> {
  await mkdir(folder);
  await run('sh', ['-c', 'curl -sS "$1" | tar xz -C "$2"', 'sh', packageUrl, folder]);
  const reference = `${farm.registry.host}/bench/hand:latest`;
  await engine.docker(['build', '--quiet', '--tag', reference, folder], { env: { DOCKER_BUILDKIT: '1' } });
  await engine.docker(['push', '--quiet', reference]);
  await rm(folder, { recursive: true });
}
