/** `make bench`: runs every benchmark, prints a table and writes `bench-results.json`. */
import { writeFile } from 'node:fs/promises';
import { benchBuilds } from './builds.ts';
import { benchHandOver } from './hand-over.ts';
import { benchRouter } from './router/main.ts';
import type { Row } from './row.ts';
import { benchClaim } from './claim.ts';
import { benchGitFetch } from './git-fetch.ts';
import { benchLogFlood } from './log-flood.ts';
import { benchWorkerStart } from './worker-start.ts';

const rows: Row[] = [];
for (const [title, bench] of [
  ['router', benchRouter],
  ['hand-over', benchHandOver],
  ['claims', benchClaim],
  ['start of the worker', benchWorkerStart],
  ['commits', benchGitFetch],
  ['a million lines', benchLogFlood],
  ['builds', benchBuilds],
] as const) {
  console.log(`measuring: ${title}`);
  rows.push(...(await bench()));
}
console.log();
for (const { name, value, unit, baseline, goal, met } of rows) {
  const verdict = goal === null ? '' : met ? `  met (${goal})` : `  MISSED (${goal})`;
  console.log(`${name.padEnd(60)} ${value.toFixed(2).padStart(10)} ${unit.padEnd(14)}${verdict}`);
  console.log(`${''.padEnd(60)} against ${baseline}`);
}
await writeFile('bench-results.json', `${JSON.stringify(rows, null, 2)}\n`);
