import { StringDecoder } from 'node:string_decoder';
import { formatStepHeading, type EngineMessage } from '../../../contract/log-messages.ts';
import { EngineError } from '../engine.ts';
import { limits } from '../limits.ts';
import { toNumber, type StatusResponse, type Vertex, type VertexLog, type VertexStatus } from './protobuf.ts';
import { asksRegistry, isInternal, parseStepName, type StepName } from './vertex-names.ts';

/** Turns what BuildKit reports of its work into the messages by which the classic builder speaks. */
export interface BuildProgress {
  /** The messages that this report adds, in order. Throws an EngineError for a build beyond every bound. */
  read(report: StatusResponse): EngineMessage[];
  /** What is left of output that ended within a character. */
  end(): EngineMessage[];
  /** The work that failed, or null. */
  failure(): Failure | null;
}

export interface Failure {
  /** `Step N/M : INSTRUCTION` of the step, or the name of other work. */
  readonly heading: string;
  readonly message: string;
  /** Whether it asked a registry for an image. */
  readonly askedRegistry: boolean;
}

interface Work {
  readonly name: string;
  readonly step: StepName | null;
  /** The step's heading once it was announced. */
  heading: string | null;
  saidCached: boolean;
  /** Decoders of its outputs, since a character may be cut in two. */
  readonly outputs: Map<number, StringDecoder>;
}

const CLIPPED = '[output clipped';

export function createBuildProgress(): BuildProgress {
  const works = new Map<string, Work>();
  const stepsOfStage = new Map<string, number>();
  let announced = 0;
  let failed: Vertex | null = null;
  let saidClipped = false;
  /** Whose line is not ended yet. */
  let openLine: string | null = null;

  const workOf = (vertex: Vertex): Work => {
    const known = works.get(vertex.digest);
    if (known) return known;
    if (works.size >= limits.vertexes) {
      throw new EngineError('failed', `The build has more than ${limits.vertexes} steps.`);
    }
    const step = parseStepName(vertex.name);
    const work = { name: vertex.name, step, heading: null, saidCached: false, outputs: new Map() };
    works.set(vertex.digest, work);
    if (step) stepsOfStage.set(step.stage, step.ofStage);
    return work;
  };
  const text = (stream: string): EngineMessage => ({ stream });
  const endLine = (): EngineMessage[] => {
    if (openLine === null) return [];
    openLine = null;
    return [text('\n')];
  };

  const readVertex = (vertex: Vertex): EngineMessage[] => {
    const work = workOf(vertex);
    if (vertex.error !== '') failed ??= vertex;
    if (!work.step) return [];
    const messages: EngineMessage[] = [];
    if (work.heading === null && (vertex.started !== null || vertex.cached)) {
      announced += 1;
      const total = stepsOfStage.values().reduce((sum, steps) => sum + steps, 0);
      // Where the same step serves two stages it has two names, of which BuildKit tells one.
      work.heading = formatStepHeading(announced, Math.max(total, announced), work.step.instruction);
      messages.push(...endLine(), text(`${work.heading}\n`));
    }
    if (vertex.cached && !work.saidCached) {
      work.saidCached = true;
      messages.push(...endLine(), text(' ---> Using cache\n'));
    }
    return messages;
  };

  const readLog = ({ vertex, stream, msg }: VertexLog): EngineMessage[] => {
    const work = works.get(vertex);
    if (!work || isInternal(work.name)) return [];
    const output = toNumber(stream);
    let decoder = work.outputs.get(output);
    if (!decoder) work.outputs.set(output, (decoder = new StringDecoder('utf8')));
    const decoded = decoder.write(Buffer.from(msg.buffer, msg.byteOffset, msg.length));
    if (decoded === '') return [];
    const before = openLine === null || openLine === vertex ? [] : endLine();
    openLine = decoded.endsWith('\n') ? null : vertex;
    const messages = [...before, text(decoded)];
    if (!saidClipped && decoded.includes(CLIPPED)) {
      saidClipped = true;
      messages.push({ status: CLIPPED_NOTE });
    }
    return messages;
  };

  const readStatus = ({ id, vertex, name, current, total, completed }: VertexStatus): EngineMessage[] => {
    const moved = toNumber(current);
    const size = toNumber(total);
    const isContext = id.startsWith('transferring ');
    if (moved === 0 && size === 0) return [];
    if (isContext && works.get(vertex)?.name.includes('build context') !== true) return [];
    return [
      {
        status: isContext ? 'Sending build context' : name === '' || name === id ? 'Transferring' : name,
        id: isContext ? 'context' : shortId(id),
        progressDetail: {
          current: moved,
          ...(size === 0 && completed === null ? {} : { total: Math.max(size, moved) }),
        },
      },
    ];
  };

  return {
    read: ({ vertexes, statuses, logs }) => {
      // All names first: how many steps there are is the sum over what is known by now.
      for (const vertex of vertexes) workOf(vertex);
      return [
        ...vertexes.flatMap(readVertex),
        ...statuses.flatMap(readStatus),
        ...joined(logs.flatMap(readLog)),
      ];
    },
    end: () =>
      joined(
        works
          .values()
          .flatMap(({ outputs }) => outputs.values())
          .map((decoder) => decoder.end())
          .filter((rest) => rest !== '')
          .map(text)
          .toArray(),
      ),
    failure() {
      if (!failed) return null;
      const work = works.get(failed.digest);
      return {
        heading: work?.heading ?? failed.name,
        message: failed.error,
        askedRegistry: asksRegistry(failed.name),
      };
    },
  };
}

const CLIPPED_NOTE =
  'The engine clips the output of its steps; BUILDKIT_STEP_LOG_MAX_SIZE and BUILDKIT_STEP_LOG_MAX_SPEED in its environment raise the limits.';

/** Pieces of output that follow each other become one message: a message costs more than its text. */
function joined(messages: readonly EngineMessage[]): EngineMessage[] {
  const out: EngineMessage[] = [];
  let texts: string[] = [];
  const close = (): void => {
    if (texts.length > 0) out.push({ stream: texts.join('') });
    texts = [];
  };
  for (const message of messages) {
    if (message.stream === undefined) {
      close();
      out.push(message);
    } else texts.push(message.stream);
  }
  close();
  return out;
}

function shortId(id: string): string {
  return id.replace(/^(?:\S+ )?sha256:([0-9a-f]{12})[0-9a-f]*$/, '$1');
}
