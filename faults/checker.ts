import { isFinal } from '../src/contract/phases.ts';
import type {
  Accepted,
  Manifest,
  Observations,
  SeenBuild,
  SeenRecord,
  Sighting,
  Strike,
} from './observations.ts';
import { lineOf, partMark, strikePoints, type Order } from './schedule.ts';

/** A promise that was broken, and how. */
export interface Finding {
  readonly code:
    | 'lost'
    | 'unasked'
    | 'unfinished'
    | 'changed after its end'
    | 'ended twice'
    | 'tries'
    | 'digest'
    | 'log'
    | 'left over'
    | 'error of a manager'
    | 'too few complete'
    | 'not struck';
  /** The build, where it is about one. */
  readonly build: string | null;
  readonly text: string;
}

/** The share of builds that must end `complete`, whatever is done to the farm. */
const COMPLETE_SHARE = 0.99;

/** A run of so many strikes meets builds at every point. */
const STRIKES_OF_ALL_POINTS = 60;

/** Judges a run from outside: what was seen, and nothing that the farm says of its own health. Empty when every promise was kept. */
export function check(observations: Observations): readonly Finding[] {
  const { accepted, doubtful, builds } = observations;
  const listed = new Map(builds.map((build) => [build.id, build]));
  const orders = new Map(accepted.map(({ id, order }) => [id, order]));
  const unanswered = new Map(doubtful.map((order) => [order.name, order]));
  const known = builds.flatMap((build) => {
    const order = orders.get(build.id) ?? unanswered.get(build.tag_names[0] ?? '');
    return order ? [{ build, order }] : [];
  });
  const unasked = builds.filter((build) => !known.some((each) => each.build === build));
  return [
    ...accepted.filter(({ id }) => !listed.has(id)).map(lost),
    ...doubled(builds),
    ...unasked.map(({ id }) => finding('unasked', id, 'nobody submitted it')),
    ...known.flatMap(({ build }) => [...checkEnd(build), ...checkTries(build)]),
    ...checkHistory(observations.sightings),
    ...known.flatMap(({ build }) => checkDigests(build, observations.manifests)),
    ...known.flatMap(({ build, order }) => checkLog(build, order, observations.logs.get(build.id) ?? [])),
    ...observations.leftovers.map(({ kind, name }) => finding('left over', null, `${kind} ${name}`)),
    ...observations.ownErrors.map(({ program, build, line }) =>
      finding('error of a manager', build, `${program}: ${line}`),
    ),
    ...checkShare(builds),
    ...checkPoints(observations.strikes),
  ];
}

function finding(code: Finding['code'], build: string | null, text: string): Finding {
  return { code, build, text };
}

function lost({ id, order }: Accepted): Finding {
  return finding('lost', id, `${order.name} was accepted, and is not there`);
}

/** A tag is a build's own here: two builds of one tag are one order taken twice. */
function doubled(builds: readonly SeenBuild[]): Finding[] {
  const byTag = Map.groupBy(builds, ({ tag_names }) => tag_names.join(' '));
  return [...byTag]
    .filter(([, same]) => same.length > 1)
    .map(([tag, same]) =>
      finding('unasked', same[1]?.id ?? null, `${tag} was submitted once, and is there ${same.length} times`),
    );
}

function checkEnd(build: SeenBuild): Finding[] {
  if (!isFinal(build.state)) return [finding('unfinished', build.id, `it is ${build.state} still`)];
  if (build.ended_at === null) return [finding('unfinished', build.id, 'it has no time of its end')];
  return [];
}

/** One try runs at a time, each has an end, and the last of them is the build's. */
function checkTries({ id, state, tries }: SeenBuild): Finding[] {
  const found: Finding[] = [];
  const say = (text: string): void => void found.push(finding('tries', id, text));
  const complete = tries.filter(({ outcome }) => outcome === 'complete');
  if (complete.length > 1)
    found.push(finding('ended twice', id, `${complete.length} of its tries are complete`));
  const last = tries.at(-1);
  if (
    isFinal(state) &&
    state !== 'cancelled' &&
    last?.outcome !== state &&
    !endedByLoss(state, last?.outcome)
  ) {
    say(`it is ${state}, and its last try ${String(last?.outcome)}`);
  }
  if (complete.length > 0 && state !== 'complete') say(`a try is complete, and it is ${state}`);
  tries.forEach((each, index) => {
    const next = tries[index + 1];
    if (each.number !== index + 1) say(`try ${index + 1} is numbered ${each.number}`);
    if (each.ended_at === null || each.outcome === null) say(`try ${each.number} has no end`);
    else if (next && next.started_at < each.ended_at) {
      say(`try ${next.number} began before try ${each.number} had ended`);
    }
  });
  return found;
}

/** Losing its worker is what ended the last try; that there was none left is what ended the build. */
function endedByLoss(state: string, outcome: string | null | undefined): boolean {
  return state === 'internalerror' && outcome === 'lost';
}

/** Once an answer said that a build has ended, every question asked afterwards is answered the same. */
function checkHistory(sightings: readonly Sighting[]): Finding[] {
  const found: Finding[] = [];
  for (const [build, seen] of Map.groupBy(sightings, (each) => each.build)) {
    const end = seen
      .filter(({ state }) => isFinal(state))
      .reduce<Sighting | null>(
        (first, each) => (first && first.answeredAt <= each.answeredAt ? first : each),
        null,
      );
    if (end === null) continue;
    const later = seen.find((each) => each.askedAt > end.answeredAt && each.end !== end.end);
    if (later) {
      const text = `${end.manager} said ${end.end}, and ${later.manager} afterwards ${later.end}`;
      found.push(finding(isFinal(later.state) ? 'ended twice' : 'changed after its end', build, text));
    }
  }
  return found;
}

function checkDigests(
  { id, state, digests, image_id, tag_names }: SeenBuild,
  manifests: ReadonlyMap<string, Manifest>,
): Finding[] {
  if (state !== 'complete') return [];
  return tag_names.flatMap((tag) => {
    const digest = digests[tag] ?? null;
    const say = (text: string): Finding[] => [finding('digest', id, text)];
    if (digest === null) return say(`none is recorded for ${tag}`);
    const manifest = manifests.get(digest) ?? { type: 'absent' };
    if (manifest.type === 'absent') return say(`the registry has no ${digest}`);
    if (manifest.config !== image_id) {
      return say(`${digest} is of the image ${manifest.config}, and it made ${String(image_id)}`);
    }
    if (manifest.missingBlobs.length > 0)
      return say(`of ${digest} the registry lacks ${manifest.missingBlobs.join(', ')}`);
    return [];
  });
}

/** Every try's records are numbered without a gap; a complete one printed each line once, in order; a lost one at least no line twice. */
function checkLog(build: SeenBuild, order: Order, records: readonly SeenRecord[]): Finding[] {
  const byTry = Map.groupBy(records, (record) => record.try);
  const found = [...byTry.keys()]
    .filter((number) => !build.tries.some((each) => each.number === number))
    .map((number) => finding('log', build.id, `there are records of a try ${number}, which never was`));
  for (const { number, outcome } of build.tries) {
    const own = byTry.get(number) ?? [];
    const text = numbering(own) ?? printed(outputOf(own), order, outcome === 'complete');
    if (text !== null) found.push(finding('log', build.id, `try ${number} (${String(outcome)}): ${text}`));
  }
  return found;
}

function numbering(records: readonly SeenRecord[]): string | null {
  const index = records.findIndex(({ seq }, before) => seq !== before + 1);
  return index < 0 ? null : `record ${index + 1} is numbered ${records[index]?.seq ?? ''}`;
}

function outputOf(records: readonly SeenRecord[]): string {
  return records.map(({ stream, text }) => (stream === 'output' ? text : '')).join('');
}

/** What is wrong with the lines, or null. */
function printed(output: string, order: Order, mustBeWhole: boolean): string | null {
  const saying = /^(\S+) says line (\d+)$/gm;
  const lines = [...output.matchAll(saying)].map(([, name, number]) => ({ name, number: Number(number) }));
  const foreign = lines.find(({ name }) => name !== order.name);
  if (foreign) return `it holds a line of ${String(foreign.name)}`;
  const numbers = lines.map(({ number }) => number);
  const back = numbers.findIndex((number, index) => index > 0 && number <= (numbers[index - 1] ?? 0));
  if (back >= 0) return `"${lineOf(order, numbers[back] ?? 0)}" comes after line ${numbers[back - 1] ?? 0}`;
  const parts = Array.from({ length: order.parts }, (_, part) => part);
  const ran = parts.filter((part) => !isFromCache(output, part));
  const wanted = ran.flatMap((part) =>
    Array.from({ length: order.linesEach }, (_, line) => part * order.linesEach + line + 1),
  );
  const missing = wanted.filter((number) => !numbers.includes(number));
  const last = numbers.at(-1) ?? 0;
  // What a worker that died had not told yet is gone; what it had told has no holes.
  const holes = mustBeWhole ? missing : missing.filter((number) => number < last);
  if (holes.length > 0)
    return `${holes.length} of ${wanted.length} lines are missing, line ${holes[0] ?? 0} first`;
  return null;
}

/** An earlier try of the build on the same engine had made this step: it prints nothing then. */
function isFromCache(output: string, part: number): boolean {
  return new RegExp(`^Step \\d+/\\d+ : RUN : ${partMark(part)};.*\\n ---> Using cache$`, 'm').test(output);
}

function checkShare(builds: readonly SeenBuild[]): Finding[] {
  const complete = builds.filter(({ state }) => state === 'complete').length;
  if (complete >= COMPLETE_SHARE * builds.length) return [];
  const ended = [...Map.groupBy(builds, ({ state }) => state)].map(
    ([state, { length }]) => `${length} ${state}`,
  );
  return [finding('too few complete', null, ended.join(', '))];
}

/** A long run that never met a build in some phase proves nothing of that phase. */
function checkPoints(strikes: readonly Strike[]): Finding[] {
  if (strikes.length < STRIKES_OF_ALL_POINTS) return [];
  return strikePoints
    .filter((point) => !strikes.some(({ at }) => at === point))
    .map((point) => finding('not struck', null, `no build was struck in ${point}`));
}
