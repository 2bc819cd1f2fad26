import { readFileSync } from 'node:fs';
import { enableCompileCache, SourceMap } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

/**
 * `dist/start.js PROGRAM …`, which `bin/` runs: starts a program of the bundle. What V8 made of its code is kept beside it, where this
 * user may write. Stack traces name the lines of `src`, whose maps are read when the first one is asked for: Node's own
 * `--enable-source-maps` reads them at each start, which costs a fifth of the time and of the memory.
 */

/** The maps that were read, as long as there is memory for them: Node asks for the trace of what ends a stream. */
const maps = new Map<string, WeakRef<{ readonly map: SourceMap | null }>>();
const [, , program = '', ...args] = process.argv;
enableCompileCache(join(import.meta.dirname, '.compile-cache'));
Error.prepareStackTrace = (error, calls) =>
  [headingOf(error), ...calls.map((call: Written) => `    at ${inSource(call.toString())}`)].join('\n');
const main = join(import.meta.dirname, program, 'main.js');
process.argv = [process.execPath, main, ...args];
await import(pathToFileURL(main).href);

/** What V8's call sites are, beside what their type tells. */
interface Written {
  toString(): string;
}

function headingOf(error: Error): string {
  try {
    return String(error);
  } catch {
    return 'Error';
  }
}

/** Where a call was, as V8 writes it, with its place in the source instead of that in the bundle. */
function inSource(call: string): string {
  return call.replace(
    /(file:\/\/[^\s()]+):(\d+):(\d+)/,
    (place, url: string, line: string, column: string) => {
      const file = fileURLToPath(url);
      if (relative(import.meta.dirname, file).startsWith('..')) return place;
      const entry = mapOf(file)?.findEntry(Number(line) - 1, Number(column) - 1);
      // The lines of packages have no entries of their own, or such as name no source.
      if (!entry || !('originalSource' in entry) || entry.generatedLine !== Number(line) - 1) return place;
      if (typeof entry.originalSource !== 'string') return place;
      const source = join(dirname(file), entry.originalSource);
      return `${source}:${entry.originalLine + 1}:${entry.originalColumn + 1}`;
    },
  );
}

/** The map of a file, or null when it has none. */
function mapOf(file: string): SourceMap | null {
  const known = maps.get(file)?.deref();
  if (known) return known.map;
  const read = { map: readMap(`${file}.map`) };
  maps.set(file, new WeakRef(read));
  return read.map;
}

function readMap(path: string): SourceMap | null {
  try {
    return new SourceMap(
      JSON.parse(readFileSync(path, 'utf8')) as ConstructorParameters<typeof SourceMap>[0],
    );
  } catch {
    return null;
  }
}
