import { strikePoints, faultKinds } from './schedule.ts';
import type { RunResult } from './run.ts';

/** What a run shows at its end: which faults met which points, how builds ended, and what was broken. */
export function reportOf({ observations, findings }: RunResult): string {
  const { builds, strikes, accepted, doubtful } = observations;
  const width = Math.max(...Object.keys(faultKinds).map((kind) => kind.length));
  const header = ['', ...strikePoints].map((title, index) =>
    index === 0 ? ' '.repeat(width) : title.padStart(14),
  );
  const rows = Object.keys(faultKinds).map((kind) => {
    const cells = strikePoints.map((point) => {
      const count = strikes.filter((strike) => strike.fault.kind === kind && strike.at === point).length;
      return (count === 0 ? '·' : String(count)).padStart(14);
    });
    return [kind.padEnd(width), ...cells].join('');
  });
  const states = counts(builds.map(({ state }) => state));
  const outcomes = counts(builds.flatMap(({ tries }) => tries.map(({ outcome }) => String(outcome))));
  return [
    header.join(''),
    ...rows,
    '',
    `builds: ${accepted.length} accepted, ${doubtful.length} submits without an answer; ${states}`,
    `tries: ${outcomes}`,
    findings.length === 0 ? 'every promise was kept' : `${findings.length} promises were broken:`,
    ...findings.map(({ code, build, text }) => `  ${code}: ${build === null ? '' : `${build}: `}${text}`),
  ].join('\n');
}

function counts(words: readonly string[]): string {
  return [...Map.groupBy(words, (word) => word)].map(([word, { length }]) => `${length} ${word}`).join(', ');
}
