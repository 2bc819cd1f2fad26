import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { exitCodes as entrypointExitCodes } from '../../src/entrypoint/exit-codes.ts';
import { managerConfiguration } from '../../src/manager/config.ts';
import { workerConfiguration } from '../../src/worker/config.ts';
import { exitCodes } from '../../src/worker/exit-codes.ts';

/** The worker's guide has what the program has. */

const read = (name: string): Promise<string> =>
  readFile(new URL(`../../docs/${name}`, import.meta.url), 'utf8');

it('lists every exit code, and none that is not there', async () => {
  const table = (await read('worker.md')).split('## Exit codes')[1]?.split('\n## ')[0] ?? '';
  const listed = Array.from(table.matchAll(/^\| (\d+) \|/gm), ([, code]) => Number(code));
  const codes = [...Object.values(exitCodes), ...Object.values(entrypointExitCodes)];
  expect(listed).toEqual(codes.toSorted((a, b) => a - b));
});

it('names no setting that is not there', async () => {
  const text = `${await read('worker.md')}${await read('running-a-worker.md')}`;
  const written = Array.from(text.matchAll(/`([A-Z]+(?:_[A-Z]+)+)[`=]/g), ([, name = '']) => name);
  const others = /^(?:BUILDKIT|NODE|QUAY_BUILD)_|^CONFIG_FILE$/;
  const known = [workerConfiguration, managerConfiguration].flatMap(({ settings }) =>
    Object.entries(settings).flatMap(([name, { file }]) => [name, ...(file ? [`${name}_FILE`] : [])]),
  );
  expect(written.filter((name) => !others.test(name) && !known.includes(name))).toEqual([]);
  expect(written).toContain('WORK_DIR');
});
