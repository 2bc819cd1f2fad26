import { readFileSync } from 'node:fs';
import { enableCompileCache } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { traceToSource } from './stack-traces.ts';

/**
 * `dist/start.js PROGRAM …`, which `bin/` runs: starts a program of the bundle. The code that V8 compiled is cached in `dist/`, where the
 * user may write there, so that the next start is faster.
 */

const [, , program = '', ...args] = process.argv;
enableCompileCache(join(import.meta.dirname, '.compile-cache'));
traceToSource((script) => {
  if (!script.startsWith('file:')) return null;
  const file = fileURLToPath(script);
  if (relative(import.meta.dirname, file).startsWith('..')) return null;
  return { folder: dirname(file), readMap: () => readFileSync(`${file}.map`, 'utf8') };
});
const main = join(import.meta.dirname, program, 'main.js');
process.argv = [process.execPath, main, ...args];
await import(pathToFileURL(main).href);
