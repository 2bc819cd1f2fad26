import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { managerConfiguration } from '../../src/manager/config.ts';
import { exitCodes } from '../../src/manager/exit-codes.ts';
import { metricCatalogue } from '../../src/manager/metrics/catalogue.ts';
import { workerConfiguration } from '../../src/worker/config.ts';

const guide = new URL('../../docs/operating.md', import.meta.url);
const text = await readFile(guide, 'utf8');

/** What the pattern's first group finds, each once. */
function named(pattern: RegExp): readonly string[] {
  return [...new Set([...text.matchAll(pattern)].map(([, name = '']) => name))];
}

describe("the operator's guide", () => {
  it('names metrics that there are', () => {
    const known: readonly string[] = Object.values(metricCatalogue).map(({ name }) => name);
    const asked = named(/\b(quay_build_[a-z_]+)/g);
    expect(asked.length).toBeGreaterThan(5);
    expect(asked.filter((name) => !known.includes(name.replace(/_count$/, '')))).toEqual([]);
  });

  it('names settings that there are', () => {
    const known = [
      ...Object.keys(managerConfiguration.settings),
      ...Object.keys(workerConfiguration.settings),
    ];
    const asked = named(/\b([A-Z]+(?:_[A-Z]+)+)\b/g).filter((name) => !name.startsWith('QUAY_BUILD_'));
    expect(asked.length).toBeGreaterThan(10);
    expect(asked.filter((name) => !known.includes(name))).toEqual([]);
  });

  it('lists every exit code, and none that is not there', () => {
    const table = text.split('## Exit codes')[1]?.split('\n## ')[0] ?? '';
    const listed = Array.from(table.matchAll(/^\| (\d+) \|/gm), ([, code]) => Number(code));
    expect(listed).toEqual(Object.values(exitCodes).toSorted((a, b) => a - b));
  });
});
