import type { Observations, SeenBuild, SeenRecord, SeenTry, Sighting } from '../../faults/observations.ts';
import { lineOf, partMark, type Order } from '../../faults/schedule.ts';

/** What a faultless run of a few builds would have seen, for tests that spoil it. */

const START = Date.parse('2026-01-01T00:00:00Z');
const at = (second: number): string => new Date(START + second * 1000).toISOString();
const digestOf = (number: number): string => `sha256:${String(number).padStart(64, '0')}`;
const idOf = (number: number): string => `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`;

export function orderOf(number: number): Order {
  return {
    name: `build-${number}`,
    repository: 'team/app',
    source: 'upload',
    parts: 2,
    linesEach: 3,
    pauseMicroseconds: 0,
  };
}

export function tryOf(number: number, outcome: SeenTry['outcome']): SeenTry {
  return {
    number,
    started_at: at(number * 10),
    ended_at: at(number * 10 + 5),
    outcome,
  };
}

function buildOf(number: number): SeenBuild {
  return {
    id: idOf(number),
    state: 'complete',
    tag_names: [orderOf(number).name],
    image_id: digestOf(1000 + number),
    digests: { [orderOf(number).name]: digestOf(number) },
    ended_at: at(15),
    tries: [tryOf(1, 'complete')],
  };
}

/** The records of a try that printed these parts, each up to this line. */
export function recordsOf(order: Order, attempt: number, upTo = order.parts * order.linesEach): SeenRecord[] {
  const texts = ['Step 1/3 : FROM busybox:stable\n'];
  for (let part = 0; part < order.parts; part += 1) {
    texts.push(`Step ${part + 2}/3 : RUN : ${partMark(part)}; echo "${lineOf(order, '$i')}"\n`);
    for (let line = part * order.linesEach + 1; line <= (part + 1) * order.linesEach; line += 1) {
      if (line <= upTo) texts.push(`${lineOf(order, line)}\n`);
    }
  }
  return texts.map((text, index) => ({
    try: attempt,
    seq: index + 1,
    stream: 'output',
    text,
  }));
}

export function sightingOf(number: number, second: number, state: SeenBuild['state'], end: string): Sighting {
  const answeredAt = START + second * 1000;
  return { build: idOf(number), manager: 'manager-1', askedAt: answeredAt - 10, answeredAt, state, end };
}

export interface Spoilable extends Observations {
  readonly builds: SeenBuild[];
  readonly logs: Map<string, SeenRecord[]>;
}

export function faultless(builds = 3): Spoilable {
  const numbers = Array.from({ length: builds }, (_, index) => index + 1);
  return {
    accepted: numbers.map((number) => ({ id: idOf(number), order: orderOf(number) })),
    doubtful: [],
    sightings: numbers.flatMap((number) => [
      sightingOf(number, 11, 'running', 'running'),
      sightingOf(number, 15, 'complete', 'complete'),
    ]),
    builds: numbers.map(buildOf),
    logs: new Map(numbers.map((number) => [idOf(number), recordsOf(orderOf(number), 1)])),
    manifests: new Map(
      numbers.map((number) => [
        digestOf(number),
        { type: 'found', config: digestOf(1000 + number), missingBlobs: [] },
      ]),
    ),
    leftovers: [],
    ownErrors: [],
    strikes: [],
  };
}
