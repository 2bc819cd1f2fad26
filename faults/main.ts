/** `make test-faults`: strikes a farm while it builds, and says which promises were broken. */
import { randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { reportOf } from './report.ts';
import { runFaults } from './run.ts';

const seed = process.env['SEED'] ?? randomBytes(4).toString('hex');
const builds = Number(process.env['BUILDS'] ?? 200);
const faults = Number(process.env['FAULTS'] ?? Math.ceil(builds / 6));
const minutes = Number(process.env['MINUTES'] ?? 0);
const directory = process.env['FAULTS_OUT'] ?? 'faults-results';

console.log(`SEED=${seed} BUILDS=${builds} FAULTS=${faults} MINUTES=${minutes}`);
const startedAt = Date.now();
await mkdir(directory, { recursive: true });
const logs = new Map<string, ReturnType<typeof createWriteStream>>();
const onOutput = (program: string, text: string): void => {
  const log = logs.get(program) ?? createWriteStream(join(directory, `${program}.log`));
  logs.set(program, log);
  log.write(text);
};
const tell = (text: string): void =>
  console.log(`${((Date.now() - startedAt) / 1000).toFixed(1).padStart(7)} s  ${text}`);
const result = await runFaults({ seed, builds, faults, forMs: minutes * 60_000, onOutput, tell });
await writeFile(
  join(directory, 'observations.json'),
  JSON.stringify(result.observations, (_, value: unknown) => (value instanceof Map ? [...value] : value), 1),
);
console.log(
  `\n${reportOf(result)}\nSEED=${seed} repeats this schedule; what the programs said is in ${directory}`,
);
process.exitCode = result.findings.length === 0 ? 0 : 1;
