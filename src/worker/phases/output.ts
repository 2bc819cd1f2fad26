import type { EngineMessage, StatusData } from '../../contract/log-messages.ts';
import type { WorkerPhase } from '../../contract/phases.ts';
import type { Clock } from '../clock.ts';
import type { BuildLog } from '../link/build-log.ts';
import { LINE_MAX } from '../limits.ts';
import type { Masker, MaskedStream } from '../../contract/masking.ts';
import { createGathering } from './gathering.ts';
import { createLineCutter } from './long-lines.ts';
import { splitOutput } from './pieces.ts';
import { createProgressFilter } from './progress.ts';

/** What a build says to its manager: secrets masked, long lines cut, progress thinned, and in order. */
export interface BuildOutput {
  /** Announces a phase. Throws a BuildError when the manager rejects it, or cannot be told. */
  phase(phase: WorkerPhase, data?: StatusData): Promise<void>;
  /** Logs a message of the current phase; resolves when there is room for the next. */
  message(message: EngineMessage): Promise<void>;
  /** Sends what was held back, and resolves when all is delivered. */
  end(): Promise<void>;
}

/** A status or an id that is longer is cut, also where it has many lines. */
const SHORT_MAX = 2 * LINE_MAX;

interface Stream {
  readonly masked: MaskedStream;
  readonly cut: (piece: string) => string;
}

export function createBuildOutput(log: BuildLog, masker: Masker, clock: Clock): BuildOutput {
  let phase: WorkerPhase = 'unpacking';
  let passes = createProgressFilter(clock);
  /** By the messages' id, since steps that run side by side print side by side. */
  const streams = new Map<string, Stream>();

  const streamOf = (id: string): Stream => {
    const stream = streams.get(id) ?? { masked: masker.stream(), cut: createLineCutter() };
    streams.set(id, stream);
    return stream;
  };
  const print = async (id: string | undefined, text: string): Promise<void> => {
    const { masked, cut } = streamOf(id ?? '');
    for (const piece of splitOutput(cut(masked.push(text)))) {
      await log.message(phase, { stream: piece, ...(id === undefined ? {} : { id }) });
    }
  };
  const gathering = createGathering(print, clock);
  const finishStreams = async (): Promise<void> => {
    await gathering.flush();
    for (const [id, { masked, cut }] of streams) {
      const rest = cut(masked.end());
      for (const piece of splitOutput(rest)) {
        await log.message(phase, { stream: piece, ...(id === '' ? {} : { id }) });
      }
    }
    streams.clear();
  };
  const short = (text: string): string => {
    const stream = masker.stream();
    const masked = stream.push(text.slice(0, SHORT_MAX));
    // Where the text is cut, what may be the beginning of a secret is left out with the rest.
    return createLineCutter()(text.length <= SHORT_MAX ? masked + stream.end() : masked);
  };

  return {
    phase: async (next, data = {}) => {
      await finishStreams();
      phase = next;
      passes = createProgressFilter(clock);
      const masked = Object.entries(data).map(([name, value]) => [name, masker.mask(value ?? '')]);
      await log.phase(next, Object.fromEntries(masked) as StatusData);
    },
    message: async ({ stream, status, id, progressDetail }) => {
      const shortId = id === undefined ? undefined : short(id);
      if (stream !== undefined) await gathering.push(shortId, stream);
      if (status === undefined) return;
      await gathering.flush();
      const message: EngineMessage = { status: short(status) };
      if (shortId !== undefined) message.id = shortId;
      if (progressDetail) message.progressDetail = progressDetail;
      if (passes(message)) await log.message(phase, message);
    },
    end: async () => {
      await finishStreams();
      await log.flush();
    },
  };
}
