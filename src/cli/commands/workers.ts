import { setTimeout } from 'node:timers/promises';
import {
  workerHistorySchema,
  workerListSchema,
  type Worker,
  type WorkerHistory,
  type WorkerList,
} from '../../contract/api.ts';
import { CliError, exitCodes, type ExitCode } from '../failure.ts';
import { DRAIN_LOOK_MS } from '../limits.ts';
import type { Session } from '../session.ts';
import { formatDuration, formatFacts, formatTable, shortId, toJson, type Fact } from '../view/text.ts';

/** `quay-build workers`: who is connected, what each has done, and who gets builds. Each command answers with the exit code. */

interface JsonOption {
  readonly json?: boolean;
}

/** Lists the workers that are connected, and those that are drained. */
export async function listWorkers({ client, print }: Session, { json }: JsonOption): Promise<ExitCode> {
  const answer = await client.get('/api/v1/workers', workerListSchema);
  print(json === true ? toJson(answer) : describeList(answer));
  return exitCodes.ok;
}

/** Shows a worker, connected or not, and what it has done. */
export async function showWorker(
  { client, print }: Session,
  id: string,
  { json, limit }: JsonOption & { readonly limit?: string },
): Promise<ExitCode> {
  const query = limit === undefined ? '' : `?${new URLSearchParams({ limit }).toString()}`;
  const worker = await client.get(`${pathOf(id)}${query}`, workerHistorySchema);
  print(json === true ? toJson(worker) : describeWorker(worker, Date.now()));
  return exitCodes.ok;
}

/** Gives a worker no more builds; with `wait`, returns when it has none. */
export async function drainWorker(
  session: Session,
  id: string,
  { json, wait }: JsonOption & { readonly wait?: boolean },
): Promise<ExitCode> {
  const { client, print, notice } = session;
  const interrupted = wait === true ? session.interrupted : undefined;
  let worker = await client.post(`${pathOf(id)}/drain`, workerHistorySchema);
  if (wait === true && worker.state === 'draining') {
    notice(`${id} is draining: waiting for ${countBuilds(worker.running)}\n`);
    while (worker.state === 'draining') {
      try {
        await setTimeout(DRAIN_LOOK_MS, undefined, { signal: interrupted });
      } catch {
        notice(`\n${id} stays drained; what it builds goes on.\n`);
        return exitCodes.interrupted;
      }
      worker = await client.get(pathOf(id), workerHistorySchema);
    }
    if (worker.drained === null) {
      throw new CliError(
        exitCodes.manager,
        `The worker ${id} was resumed, or forgotten, meanwhile.`,
        'quay-build audit shows by whom.',
      );
    }
  }
  const rest =
    worker.running === 0 ? '' : `: ${countBuilds(worker.running)} ${worker.running === 1 ? 'goes' : 'go'} on`;
  print(json === true ? toJson(worker) : `${id} is ${worker.state}${rest}\n`);
  return exitCodes.ok;
}

/** Gives a worker builds again. */
export async function resumeWorker(
  { client, print }: Session,
  id: string,
  { json }: JsonOption,
): Promise<ExitCode> {
  const worker = await client.post(`${pathOf(id)}/resume`, workerHistorySchema);
  print(json === true ? toJson(worker) : `${id} is ${worker.state}\n`);
  return exitCodes.ok;
}

/** Ends a worker's sessions; what it builds goes back to the queue. */
export async function forgetWorker({ client, print }: Session, id: string): Promise<ExitCode> {
  await client.delete(pathOf(id));
  print(`${id} is forgotten\n`);
  return exitCodes.ok;
}

function pathOf(id: string): string {
  return `/api/v1/workers/${encodeURIComponent(id)}`;
}

function describeList({ workers, drained }: WorkerList): string {
  const connected = new Set(workers.map(({ id }) => id));
  const away = drained.filter(({ id }) => !connected.has(id));
  const lines = away.map((each) => `${each.id} is not connected, and drained by ${each.drained_by}\n`);
  return `${workers.length === 0 ? 'no workers\n' : slotTable(workers)}${lines.join('')}`;
}

function slotTable(workers: readonly Worker[]): string {
  return formatTable(
    ['WORKER', 'SLOT', 'STATE', 'KIND', 'BUILD', 'ADDRESS', 'EXTENSIONS'],
    workers.map((worker) => [
      worker.id,
      `${worker.slot + 1}/${worker.slots}`,
      worker.state,
      worker.kind,
      worker.build_id === null ? '' : shortId(worker.build_id),
      worker.address,
      worker.extensions.join(','),
    ]),
  );
}

/** Everything about a worker. `now` in milliseconds since 1970. */
function describeWorker({ id, state, drained, slots, outcomes, tries }: WorkerHistory, now: number): string {
  const [first] = slots;
  const ends = Object.entries(outcomes).flatMap(([name, count]) => (count === 0 ? [] : [`${count} ${name}`]));
  const facts = formatFacts([
    ['worker', id],
    ['state', drained === null ? state : `${state}, by ${drained.drained_by} since ${drained.drained_at}`],
    ['ticket', first?.registered_as ?? null],
    ...slots.map((slot): Fact => [
      `slot ${slot.slot + 1}/${slot.slots}`,
      `${slot.state}, from ${slot.address} at ${slot.manager} since ${slot.connected_at}`,
    ]),
    ['tries', ends.length === 0 ? 'none has ended' : ends.join(', ')],
  ]);
  if (tries.length === 0) return facts;
  const list = formatTable(
    ['BUILD', 'TRY', 'IMAGE', 'ENDED AS', 'STARTED', 'TOOK'],
    tries.map((each) => [
      shortId(each.build_id),
      String(each.number),
      `${each.repository}:${each.tag_names.join(',')}`,
      each.outcome ?? each.phase ?? 'running',
      each.started_at,
      formatDuration(
        (each.ended_at === null ? now : Date.parse(each.ended_at)) - Date.parse(each.started_at),
      ),
    ]),
  );
  return `${facts}\n${list}`;
}

function countBuilds(count: number): string {
  return count === 1 ? '1 build' : `${count} builds`;
}
