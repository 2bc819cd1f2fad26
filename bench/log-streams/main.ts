import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startFarm } from '../../lab/farm.ts';
import { buildSchema } from '../../src/contract/api.ts';
import { ask, endChildren, processorSeconds, startChild } from '../child.ts';
import type { Row } from '../row.ts';
import type { ViewersReply, ViewersRequest, WorkersReply, WorkersRequest } from './messages.ts';

const BUILDS = 200;
const LINES_A_SECOND = 100;
const MEASURED_MS = 15_000;
const GOAL_MS = 250;

/**
 * Two hundred builds that print a hundred lines a second each, and a viewer of each: from a line's print at the worker to its arrival
 * at the viewer, and whether every line arrived, once and in its place. Manager and PostgreSQL are the real ones; the workers are one
 * process that speaks the protocol as ours do, the viewers another.
 */
export async function benchLogStreams(): Promise<Row[]> {
  const directory = await mkdtemp(join(tmpdir(), 'bench-log-streams-'));
  const workers = startChild(new URL('./workers.ts', import.meta.url));
  const viewers = startChild(new URL('./viewers.ts', import.meta.url));
  try {
    await using farm = await startFarm({ directory });
    const askWorkers = (request: WorkersRequest): Promise<WorkersReply> => ask(workers, request);
    const askViewers = (request: ViewersRequest): Promise<ViewersReply> => ask(viewers, request);
    await askWorkers({ type: 'connect', url: farm.wampUrl, workers: BUILDS });
    const builds: string[] = [];
    for (let build = 0; build < BUILDS; build += 1) builds.push(await submit(farm.url, build));
    await askViewers({ type: 'view', url: farm.url, builds });
    const [usedBefore, begun] = [await processorSeconds(farm.manager.pid), performance.now()];
    const sent = await askWorkers({
      type: 'stream',
      linesASecond: LINES_A_SECOND,
      milliseconds: MEASURED_MS,
    });
    const seen = await askViewers({ type: 'report' });
    const seconds = (performance.now() - begun) / 1000;
    const cores = ((await processorSeconds(farm.manager.pid)) - usedBefore) / seconds;
    const lost = sent.lines - seen.lines + seen.gaps;
    const baseline = `${BUILDS} builds of ${LINES_A_SECOND} lines a second, ${sent.lines} lines in ${seconds.toFixed(1)} s, the manager at ${cores.toFixed(2)} cores`;
    return [
      {
        name: 'a line of 200 logs to its viewer, p50',
        value: seen.p50,
        unit: 'ms',
        baseline,
        goal: null,
        met: true,
      },
      {
        name: 'a line of 200 logs to its viewer, p99',
        value: seen.p99,
        unit: 'ms',
        baseline,
        goal: `≤ ${GOAL_MS} ms`,
        met: seen.p99 <= GOAL_MS,
      },
      {
        name: 'lines of 200 logs that were lost, or out of their place',
        value: lost,
        unit: 'lines',
        baseline,
        goal: 'none',
        met: lost === 0,
      },
    ];
  } finally {
    await endChildren(workers, viewers);
    await rm(directory, { recursive: true, force: true });
  }
}

async function submit(url: string, build: number): Promise<string> {
  const answer = await fetch(`${url}/api/v1/builds`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      repository: `bench/app-${build}`,
      build_package: 'http://127.0.0.1:9/never-fetched.tar',
    }),
  });
  return buildSchema.parse(await answer.json()).id;
}
