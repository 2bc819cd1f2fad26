/** `make bench`: runs every benchmark, or those named, prints a table and writes `bench-results.json`. */
import { writeFile } from 'node:fs/promises';
import { benchBuilds } from './builds.ts';
import { benchClaim } from './claim.ts';
import { benchGitFetch } from './git-fetch.ts';
import { benchHandOver } from './hand-over.ts';
import { benchIdleWorkers } from './idle-workers/main.ts';
import { benchLogFlood } from './log-flood.ts';
import { benchLogStreams } from './log-streams/main.ts';
import { benchRouter } from './router/main.ts';
import type { Row } from './row.ts';
import { benchWorkerStart } from './worker-start.ts';

const benches: ReadonlyMap<string, () => Promise<Row[]>> = new Map([
  ['router', benchRouter],
  ['hand-over', benchHandOver],
  ['claim', benchClaim],
  ['idle-workers', benchIdleWorkers],
  ['log-streams', benchLogStreams],
  ['worker-start', benchWorkerStart],
  ['git-fetch', benchGitFetch],
  ['log-flood', benchLogFlood],
  ['builds', benchBuilds],
]);

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !benches.has(name));
if (unknown.length > 0) {
  console.error(`There is no benchmark ${unknown.join(', ')}: there are ${[...benches.keys()].join(', ')}.`);
  process.exit(2);
}
const rows: Row[] = [];
for (const [name, bench] of benches) {
  if (asked.length > 0 && !asked.includes(name)) continue;
  console.log(`measuring: ${name}`);
  rows.push(...(await bench()));
}
console.log();
for (const { name, value, unit, baseline, goal, met } of rows) {
  const verdict = goal === null ? '' : met ? `  met (${goal})` : `  MISSED (${goal})`;
  console.log(`${name.padEnd(60)} ${value.toFixed(2).padStart(10)} ${unit.padEnd(14)}${verdict}`);
  console.log(`${''.padEnd(60)} against ${baseline}`);
}
await writeFile('bench-results.json', `${JSON.stringify(rows, null, 2)}\n`);
