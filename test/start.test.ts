import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startProcess } from '../lab/process.ts';

/** What `bin/` runs: a program of the bundle. */

const PROGRAM = `
import { callBack } from './package.js';

interface Asked { readonly name: string }

function refuse({ name }: Asked): never {
  throw new TypeError(\`no \${name}\`);
}

const asked: Asked = { name: process.argv.slice(2).join(' ') };
callBack(() => refuse(asked));
`;
/** In two parts, so that it is not taken for one of this file. */
const MAP_COMMENT = ['//# sourceMapping', 'URL'].join('');
/** As the bundle takes those of npm: with a map whose only entry is the first line. */
const PACKAGE = `/* a package */
export function callBack(call) {
  call();
}
${MAP_COMMENT}=data:application/json;base64,${btoa('{"version":3,"sources":["package"],"mappings":"AAAA"}')}
`;

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'start-test-'));
  await mkdir(join(directory, 'source'));
  await writeFile(join(directory, 'source', 'program.ts'), PROGRAM);
  await writeFile(join(directory, 'source', 'package.js'), PACKAGE);
  const common = { bundle: true, platform: 'node', format: 'esm' } as const;
  await build({
    ...common,
    entryPoints: [join(import.meta.dirname, '../src/start.ts')],
    outdir: join(directory, 'dist'),
  });
  await build({
    ...common,
    entryPoints: { main: join(directory, 'source', 'program.ts') },
    outdir: join(directory, 'dist/program'),
    sourcemap: true,
    sourcesContent: false,
  });
  await writeFile(join(directory, 'dist', 'package.json'), '{"type": "module"}');
});
afterAll(() => rm(directory, { recursive: true }));

it('gives a program its arguments, and its stack traces the lines of its source', async () => {
  const start = join(directory, 'dist', 'start.js');
  await using program = startProcess(process.execPath, [start, 'program', 'such', 'thing']);
  expect(await program.exited).toBe(1);
  expect(program.output()).toContain('TypeError: no such thing');
  expect(program.output()).toContain(`at refuse (${join(directory, 'source', 'program.ts')}:7:9)`);
  expect(program.output()).toMatch(/at callBack \(file:\/\/\S+\/dist\/program\/main\.js:\d+:\d+\)/);
  expect(program.output()).toContain(`${join(directory, 'source', 'program.ts')}:11:1`);
});
