import { SourceMap } from 'node:module';
import { join } from 'node:path';

/** A script of a bundle, which has a map. */
export interface MappedScript {
  /** What the map's sources are relative to. */
  readonly folder: string;
  /** The map's text. Throws where there is none. */
  readonly readMap: () => string;
}

/**
 * Has stack traces name the lines of `src`. Maps are read when the first trace is asked for: Node's own `--enable-source-maps` reads
 * them at each start, which costs a fifth of the time and of the memory.
 */
export function traceToSource(find: (script: string) => MappedScript | null): void {
  const inSource = sourceNamer(find);
  Error.prepareStackTrace = (error, calls) =>
    [headingOf(error), ...calls.map((call: Written) => `    at ${inSource(call.toString())}`)].join('\n');
}

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

/** Writes where a call was, as V8 does, with its place in the source instead of that in the bundle. */
function sourceNamer(find: (script: string) => MappedScript | null): (call: string) => string {
  // Maps that were read stay as long as there is memory for them: Node asks for the trace of what ends a stream.
  const maps = new Map<string, WeakRef<{ readonly map: SourceMap | null }>>();
  const mapOf = (script: string, { readMap }: MappedScript): SourceMap | null => {
    const known = maps.get(script)?.deref();
    if (known) return known.map;
    const read = { map: parseMap(readMap) };
    maps.set(script, new WeakRef(read));
    return read.map;
  };
  return (call) =>
    call.replace(/([^\s()]+):(\d+):(\d+)/, (place, script: string, line: string, column: string) => {
      const mapped = find(script);
      if (!mapped) return place;
      const entry = mapOf(script, mapped)?.findEntry(Number(line) - 1, Number(column) - 1);
      // The lines of packages have no entries of their own, or such as name no source.
      if (!entry || !('originalSource' in entry) || entry.generatedLine !== Number(line) - 1) return place;
      if (typeof entry.originalSource !== 'string') return place;
      const source = join(mapped.folder, entry.originalSource);
      return `${source}:${entry.originalLine + 1}:${entry.originalColumn + 1}`;
    });
}

/** The map of a script, or null when it has none. */
function parseMap(readMap: () => string): SourceMap | null {
  try {
    return new SourceMap(JSON.parse(readMap()) as ConstructorParameters<typeof SourceMap>[0]);
  } catch {
    return null;
  }
}
