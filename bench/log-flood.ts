import { randomBytes } from 'node:crypto';
import { readFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { Readable } from 'node:stream';
import { buildSchema } from '../src/contract/api.ts';
import { importBaseImage } from '../lab/base-image.ts';
import { startEngine } from '../lab/engine.ts';
import { startFarm, type LabFarm } from '../lab/farm.ts';
import { startPackageServer } from '../lab/package-server.ts';
import { startRegistry } from '../lab/registry.ts';
import { median, timed, type Row } from './row.ts';

const RUNS = 3;
const LINES = 1_000_000;
/** Docker 20.10 falls silent when more than 1 MiB of output gathers: a burst is an eighth of that, and its reader gets time to read it. */
const BURST_BYTES = 131_072;
const FELL_SILENT = 'The engine stopped telling what the build does';
/** Builds of which the engine fell silent all the same, on a machine that was busy with other things, are made again: so many in all. */
const SILENT_MAX = 5;
const PAUSE_MS = 50;
const BURSTS = Math.ceil(
  Buffer.byteLength(Array.from({ length: LINES }, (_, at) => lineOf(at)).join('')) / BURST_BYTES,
);
const GOAL_RATIO = 1.2;
const GOAL_MB = 150;

/**
 * A build that prints a million lines, each of which is looked for at the manager, against the same build with its output discarded,
 * in turn. Both pause after each burst.
 */
export async function benchLogFlood(): Promise<Row[]> {
  const directory = await mkdtemp(join(tmpdir(), 'bench-log-'));
  try {
    await using bases = await startRegistry();
    await using engine = await startEngine({ mirror: bases.host });
    await importBaseImage(engine, `${bases.host}/library/busybox:stable`);
    await engine.docker(['push', '--quiet', `${bases.host}/library/busybox:stable`]);
    await using packages = await startPackageServer();
    await using farm = await startFarm({ directory, registryAuth: 'open' });
    const worker = await farm.startWorker(engine);
    const buildOf = async (redirection: string): Promise<string> => {
      const path = `/${randomBytes(8).toString('hex')}`;
      const body = Buffer.from(dockerfile(redirection));
      packages.serve(path, { kind: 'bytes', body, contentType: 'text/plain' });
      return buildThrough(farm, packages.url + path);
    };

    const times = { printed: [] as number[], discarded: [] as number[] };
    let silent = 0;
    while (times.printed.length < RUNS) {
      const discarded = await timed(() => buildOf('> /dev/null'));
      let id = '';
      const printed = await timed(async () => (id = await buildOf('')));
      if (await hasEveryLine(`${farm.url}/api/v1/builds/${id}/log`)) {
        times.discarded.push(discarded);
        times.printed.push(printed);
      } else if ((silent += 1) > SILENT_MAX) throw new Error('the engine fell silent too often');
    }
    const [printed, discarded] = [median(times.printed), median(times.discarded)];
    const megabytes = await peakMegabytes(worker.pid);
    return [
      {
        name: 'a build of a million lines of output, none lost',
        value: printed / discarded,
        unit: 'ratio',
        baseline: `its output discarded ${discarded.toFixed(0)} ms, counted at the manager ${printed.toFixed(0)} ms, medians of ${RUNS}; ${BURSTS * PAUSE_MS} ms are pauses; the engine fell silent in ${silent} others`,
        goal: `≤ ${GOAL_RATIO}`,
        met: printed / discarded <= GOAL_RATIO,
      },
      {
        name: 'peak memory of the worker of a million lines',
        value: megabytes,
        unit: 'MB',
        baseline: `after ${2 * (RUNS + silent)} builds`,
        goal: `≤ ${GOAL_MB} MB`,
        met: megabytes <= GOAL_MB,
      },
    ];
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** New each time, so that no step comes from the cache. The lines are made before they are printed, without regard to where one ends. */
function dockerfile(redirection: string): string {
  const make = `awk 'BEGIN { for (i = 0; i < ${LINES}; i++) print "line " i " of a million" }' > /tmp/lines`;
  const print = `dd if=/tmp/lines bs=${BURST_BYTES} skip=$burst count=1 2> /dev/null ${redirection}`;
  return [
    'FROM busybox:stable',
    `RUN : ${randomBytes(8).toString('hex')}; ${make}; burst=0; while [ $burst -lt ${BURSTS} ]; do ${print}; usleep ${PAUSE_MS * 1000}; burst=$((burst + 1)); done; rm /tmp/lines`,
    '',
  ].join('\n');
}

function lineOf(at: number): string {
  return `line ${at} of a million\n`;
}

/** Submits a build, waits for its end, and answers with its id. */
async function buildThrough({ url }: LabFarm, packageUrl: string): Promise<string> {
  const answer = await fetch(`${url}/api/v1/builds`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ repository: 'bench/log', build_package: packageUrl }),
  });
  const { id } = buildSchema.parse(await answer.json());
  for (;;) {
    const build = buildSchema.parse(await (await fetch(`${url}/api/v1/builds/${id}`)).json());
    if (build.state === 'complete') return id;
    if (build.ended_at !== null) throw new Error(`a build ended as ${build.state}: ${JSON.stringify(build)}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Whether the log has every line once, in order; false for one of which the engine itself fell silent. Throws when a line is lost. */
async function hasEveryLine(url: string): Promise<boolean> {
  const { body } = await fetch(url, { headers: { accept: 'text/plain' } });
  if (body === null) throw new Error('the manager has no log');
  let next = 0;
  let fellSilent = false;
  for await (const line of createInterface({ input: Readable.fromWeb(body) })) {
    fellSilent ||= line.startsWith(FELL_SILENT);
    const [, number] = /^line (\d+) of a million$/.exec(line) ?? [];
    if (number === undefined) continue;
    if (Number(number) !== next) throw new Error(`line ${next} is missing: ${number} comes instead`);
    next += 1;
  }
  if (fellSilent) return false;
  if (next !== LINES) throw new Error(`${LINES - next} lines are missing at the end`);
  return true;
}

/** `VmHWM` (proc(5)), in MB. */
async function peakMegabytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const [, kib = ''] = /^VmHWM:\s+(\d+) kB$/m.exec(status) ?? [];
  return (Number(kib) * 1024) / 1e6;
}
