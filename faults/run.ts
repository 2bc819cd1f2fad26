import { setTimeout as wait } from 'node:timers/promises';
import { isFinal } from '../src/contract/phases.ts';
import { check, type Finding } from './checker.ts';
import { collectLog, collectManifests } from './collect.ts';
import { startGround, type Ground } from './ground.ts';
import { leftBehind, leftoversOf, letTimePass } from './leftovers.ts';
import type { Accepted, Leftover, Observations, SeenRecord, Strike } from './observations.ts';
import { listenForOwnErrors } from './own-errors.ts';
import { faultsOf, lanes, ordersOf, type Fault, type Lane, type Order } from './schedule.ts';
import { aim, workerIdOf, type Blow } from './strike.ts';
import { submit } from './submit.ts';
import { takePlaces } from './take-places.ts';
import { pointOf, startWatch, type Watch } from './watch.ts';
import type { Build } from '../src/contract/api.ts';

export interface RunOptions {
  /** Decides what is built, and what is done to the farm. */
  readonly seed: string;
  /** How many builds, at least. */
  readonly builds: number;
  /** How many faults in each lane, at least. */
  readonly faults: number;
  /** Goes on with further builds and faults for so long, in milliseconds. */
  readonly forMs: number;
  readonly onOutput: (program: string, text: string) => void;
  /** Hears what happens. */
  readonly tell: (text: string) => void;
}

export interface RunResult {
  readonly observations: Observations;
  /** The promises that were broken. */
  readonly findings: readonly Finding[];
}

/** How long a fault waits for a build at its point; then it strikes wherever a build is, in milliseconds. */
const POINT_WITHIN_MS = 12_000;
/** How long the farm may take to end all builds once the last fault is over, and then to be tidy. */
const END_WITHIN_MS = 300_000;
const TIDY_WITHIN_MS = 120_000;
const LOOK_MS = 20;
/** Builds in excess of the slots that are kept waiting, so that a free slot has something to do. */
const QUEUE = 2;

/** Starts a farm, has it build, strikes it as the seed says, and judges what became of it. */
export async function runFaults(options: RunOptions): Promise<RunResult> {
  const { tell } = options;
  const ownErrors = listenForOwnErrors();
  const onOutput = (program: string, text: string): void => {
    ownErrors.hear(program, text);
    options.onOutput(program, text);
  };
  const ground = await startGround({ managers: 2, engines: 2, workersEach: 2, onOutput });
  await using stack = new AsyncDisposableStack();
  stack.use(ground);
  const watch = stack.use(startWatch(new Map(ground.managers.map(({ program, url }) => [program.id, url]))));
  tell(`the farm is up: ${ground.managers.length} managers, ${ground.workers.length} workers, 2 engines`);

  const until = Date.now() + options.forMs;
  const strikes: Strike[] = [];
  const [over, halt] = [new AbortController(), new AbortController()];
  stack.defer(() => halt.abort());
  const striking = Promise.all(
    lanes.map((lane) => strikeLane(ground, watch, { ...options, lane, until, strikes })),
  ).then(() => over.abort());
  const [{ accepted, doubtful }] = await Promise.all([
    feed(ground, watch, { ...options, until, over: over.signal, halt: halt.signal }),
    striking,
  ]);
  tell(`every fault is over: ${strikes.length} struck, ${accepted.length} builds were accepted`);

  const builds = await allEnded(watch, accepted);
  const url = ground.managers[0]?.url ?? '';
  const logs = new Map<string, readonly SeenRecord[]>();
  for (const { id } of builds) logs.set(id, await collectLog(url, id));
  const manifests = await collectManifests(ground.openRegistry, builds);
  await watch[Symbol.asyncDispose]();
  await takePlaces(ground);
  await letTimePass(ground);
  const leftovers = [...(await tidied(ground, builds)), ...(await leave(ground, tell))];
  const observations: Observations = {
    accepted,
    doubtful,
    sightings: watch.sightings,
    builds,
    logs,
    manifests,
    leftovers,
    ownErrors: ownErrors.found,
    strikes: strikes.toSorted((one, other) => one.startedAt - other.startedAt),
  };
  return { observations, findings: check(observations) };
}

interface FeedOptions extends Pick<RunOptions, 'seed' | 'builds' | 'tell'> {
  readonly until: number;
  /** Fires when no fault is to come. */
  readonly over: AbortSignal;
  /** Fires when the run is given up. */
  readonly halt: AbortSignal;
}

/** Submits builds, as many as keep every slot busy, until there were enough and the faults are over. */
async function feed(
  ground: Ground,
  watch: Watch,
  { seed, builds, until, over, halt, tell }: FeedOptions,
): Promise<{ accepted: Accepted[]; doubtful: Order[] }> {
  const accepted: Accepted[] = [];
  const doubtful: Order[] = [];
  const isOpen = ({ id }: Accepted): boolean => {
    const state = watch.builds.get(id)?.state;
    return state === undefined || !isFinal(state);
  };
  for (const order of ordersOf(seed)) {
    const patience = Date.now() + END_WITHIN_MS;
    while (accepted.filter(isOpen).length >= ground.slots + QUEUE) {
      // A farm that ends no build any more is judged as it is.
      if (halt.aborted || Date.now() > patience) return { accepted, doubtful };
      await wait(LOOK_MS);
    }
    if (accepted.length >= builds && Date.now() >= until && over.aborted) break;
    const submitted = await submit(ground, order);
    if (submitted === 'doubtful') doubtful.push(order);
    if (typeof submitted === 'string') {
      tell(`${order.name}: the submit was ${submitted}`);
      await wait(500);
    } else accepted.push(submitted);
  }
  return { accepted, doubtful };
}

interface LaneOptions {
  readonly seed: string;
  readonly lane: Lane;
  readonly until: number;
  readonly faults: number;
  readonly strikes: Strike[];
  readonly tell: (text: string) => void;
}

async function strikeLane(
  ground: Ground,
  watch: Watch,
  { seed, lane, until, faults, strikes, tell }: LaneOptions,
): Promise<void> {
  for (const fault of faultsOf(seed, lane)) {
    if (fault.number > faults && Date.now() >= until) return;
    await wait(fault.restMs);
    const found = await findTarget(ground, watch, fault);
    if (found === null) {
      tell(`${lane} ${fault.number}: ${fault.kind} found nobody`);
      continue;
    }
    const { blow, build } = found;
    const startedAt = Date.now();
    await blow.begin();
    const at = pointOf(watch.builds.get(build.id) ?? build) ?? pointOf(build);
    tell(
      `${lane} ${fault.number}: ${fault.kind}: ${blow.victim}, ${build.tag_names.join()} in ${String(at)}, ${fault.forMs / 1000} s`,
    );
    await blow.end();
    strikes.push({ fault, victim: blow.victim, build: build.id, at, startedAt, endedAt: Date.now() });
  }
}

/** Waits for a build at the fault's point, with somebody to strike. */
async function findTarget(
  ground: Ground,
  watch: Watch,
  fault: Fault,
): Promise<{ readonly blow: Blow; readonly build: Build } | null> {
  const patience = Date.now() + POINT_WITHIN_MS;
  while (Date.now() < patience + POINT_WITHIN_MS) {
    const there = watch.at(Date.now() < patience ? fault.at : null).filter(hasTriesToLose);
    const first = Math.floor(fault.choice * there.length);
    const turned = [...there.slice(first), ...there.slice(0, first)];
    for (const build of turned.toSorted((one, other) => failedTries(one) - failedTries(other))) {
      const blow = await aim(ground, fault, build).catch(() => null);
      if (blow?.meets.every((worker) => hasTriesToLose(runningAt(watch, worker)))) return { blow, build };
    }
    await wait(LOOK_MS);
  }
  return null;
}

/** A build that lost all tries but one is spared: what took the last one would end it, and rightly. */
function hasTriesToLose(build: Build | null): boolean {
  return build === null || failedTries(build) + 1 < build.max_tries;
}

function failedTries({ tries }: Build): number {
  return tries.filter(({ outcome }) => outcome !== null && outcome !== 'complete').length;
}

function runningAt(watch: Watch, worker: string): Build | null {
  return watch.at(null).find((build) => workerIdOf(build) === worker) ?? null;
}

/** Waits until every build that was accepted has ended, or time is up; answers with all that there are. */
async function allEnded(watch: Watch, accepted: readonly Accepted[]): Promise<readonly Build[]> {
  const patience = Date.now() + END_WITHIN_MS;
  for (;;) {
    const builds = await watch.list().catch(() => null);
    const isDone =
      builds?.every(({ state }) => isFinal(state)) === true &&
      accepted.every(({ id }) => builds.some((build) => build.id === id));
    if (builds && (isDone || Date.now() > patience)) return builds;
    await wait(500);
  }
}

/** Gives the farm time to be tidy, and says what is left then. */
async function tidied(ground: Ground, builds: readonly Build[]): Promise<readonly Leftover[]> {
  const known = new Set(
    builds
      .filter(({ state }) => state === 'complete')
      .flatMap(({ registry, repository, tag_names }) =>
        tag_names.map((tag) => `${registry}/${repository}:${tag}`),
      ),
  ).add('busybox:stable');
  const patience = Date.now() + TIDY_WITHIN_MS;
  for (;;) {
    const left = await leftoversOf(ground, known);
    if (left.length === 0 || Date.now() > patience) return left;
    await wait(1000);
  }
}

/** Asks workers, then managers, to leave; says who did not go in order, and what they left. */
async function leave(ground: Ground, tell: (text: string) => void): Promise<readonly Leftover[]> {
  const found: Leftover[] = [];
  for (const posts of [ground.workers, ground.managers]) {
    await Promise.all(
      posts.map(async ({ program }) => {
        const code = await program.stop();
        if (code !== 0) found.push({ kind: 'process', name: `${program.id} left with ${code}` });
        found.push(...program.ownEnds.map((name): Leftover => ({ kind: 'process', name })));
      }),
    );
  }
  tell('workers and managers have left');
  return [...found, ...(await leftBehind(ground))];
}
