import { StringDecoder } from 'node:string_decoder';
import { formatStepHeading, type EngineMessage } from '../../../contract/log-messages.ts';
import { EngineError } from '../engine.ts';
import { limits } from '../limits.ts';
import {
  toMilliseconds,
  toNumber,
  type StatusResponse,
  type Time,
  type Vertex,
  type VertexLog,
  type VertexStatus,
} from './protobuf.ts';
import { asksRegistry, instructionOf, isInternal } from './vertex-names.ts';

/** Turns what BuildKit reports of its work into the messages by which the classic builder speaks. */
export interface BuildProgress {
  /** The messages that this report adds, in order. Throws an EngineError for a build beyond every bound. */
  read(report: StatusResponse): EngineMessage[];
  /** What is left of output that ended within a character or a line. */
  end(): EngineMessage[];
  /** The work that failed, or null. */
  failure(): Failure | null;
}

interface Failure {
  /** `Step N/M : INSTRUCTION` of the step, or the name of other work. */
  readonly heading: string;
  readonly message: string;
  /** Whether it asked a registry for an image. */
  readonly askedRegistry: boolean;
}

interface Work {
  readonly name: string;
  /** Of a step of the Dockerfile; undefined for other work. */
  readonly instruction: string | undefined;
  /** The step's heading once it was announced. */
  heading: string | null;
  saidCached: boolean;
  /** Decoders of its outputs, since a character may be cut in two. */
  readonly outputs: Map<number, StringDecoder>;
}

const CLIPPED = '[output clipped';

export function createBuildProgress(): BuildProgress {
  const works = new Map<string, Work>();
  /** Stages may share a step, as the FROM of one base: what counts is the work, not the numbers in its names. */
  let knownSteps = 0;
  let announced = 0;
  let failed: Vertex | null = null;
  let saidClipped = false;
  /** Whose line is not ended yet. */
  let openLine: string | null = null;
  /** Whose heading was the last thing said, or null. */
  let lastSaid: string | null = null;

  const learn = (vertex: Vertex): void => {
    if (vertex.error !== '') failed ??= vertex;
    if (works.has(vertex.digest)) return;
    if (works.size >= limits.vertexes) {
      throw new EngineError('failed', `The build has more than ${limits.vertexes} steps.`);
    }
    const instruction = instructionOf(vertex.name);
    works.set(vertex.digest, {
      name: vertex.name,
      instruction,
      heading: null,
      saidCached: false,
      outputs: new Map(),
    });
    if (instruction !== undefined) knownSteps += 1;
  };
  const endLine = (): EngineMessage[] => {
    if (openLine === null) return [];
    openLine = null;
    return [{ stream: '\n' }];
  };

  const begin = (vertex: Vertex): EngineMessage[] => {
    const work = works.get(vertex.digest);
    if (work?.instruction === undefined || work.heading !== null) return [];
    announced += 1;
    // BuildKit tells of all steps before the first begins; one that it would tell of later makes the total grow.
    work.heading = formatStepHeading(announced, knownSteps, work.instruction);
    lastSaid = vertex.digest;
    return [...endLine(), { stream: `${work.heading}\n` }, ...sayCached(vertex, work)];
  };

  /** Right below the heading, or not at all: further down it would be said of another step. */
  const sayCached = (vertex: Vertex, work: Work): EngineMessage[] => {
    if (!vertex.cached || work.saidCached || lastSaid !== vertex.digest) return [];
    work.saidCached = true;
    return [{ stream: ' ---> Using cache\n' }];
  };

  const complete = (vertex: Vertex): EngineMessage[] => {
    const work = works.get(vertex.digest);
    const messages = openLine === vertex.digest ? endLine() : [];
    if (work?.instruction === undefined || !vertex.cached) return messages;
    return [...messages, ...begin(vertex), ...sayCached(vertex, work)];
  };

  const print = ({ vertex, stream, msg }: VertexLog): EngineMessage[] => {
    const work = works.get(vertex);
    if (!work || isInternal(work.name)) return [];
    const output = toNumber(stream);
    let decoder = work.outputs.get(output);
    if (!decoder) work.outputs.set(output, (decoder = new StringDecoder('utf8')));
    const text = decoder.write(Buffer.from(msg.buffer, msg.byteOffset, msg.length));
    if (text === '') return [];
    lastSaid = null;
    const before = openLine === null || openLine === vertex ? [] : endLine();
    openLine = text.endsWith('\n') ? null : vertex;
    if (saidClipped || !text.includes(CLIPPED)) return [...before, { stream: text }];
    saidClipped = true;
    return [...before, { stream: text }, { status: CLIPPED_NOTE }];
  };

  const transfer = ({ id, vertex, name, current, total, completed }: VertexStatus): EngineMessage[] => {
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
      vertexes.forEach(learn);
      const events = inOrder([
        ...vertexes
          .filter(({ started }) => started !== null)
          .map((vertex) => at(vertex.started, begin, vertex)),
        ...logs.map((log) => at(log.timestamp, print, log)),
        ...vertexes
          .filter(({ completed }) => completed !== null)
          .map((vertex) => at(vertex.completed, complete, vertex)),
      ]);
      return joined([...events.flatMap(({ tell }) => tell()), ...statuses.flatMap(transfer)]);
    },
    end() {
      const rests = works
        .values()
        .flatMap(({ outputs }) => outputs.values())
        .map((decoder) => ({ stream: decoder.end() }))
        .filter(({ stream }) => stream !== '');
      return joined([...rests, ...endLine()]);
    },
    failure() {
      if (!failed) return null;
      return {
        heading: works.get(failed.digest)?.heading ?? failed.name,
        message: failed.error,
        askedRegistry: asksRegistry(failed.name),
      };
    },
  };
}

interface Event {
  readonly time: number;
  readonly tell: () => EngineMessage[];
}

function at<T>(time: Time | null, tell: (subject: T) => EngineMessage[], subject: T): Event {
  return { time: time ? toMilliseconds(time) : 0, tell: () => tell(subject) };
}

/** A report tells of steps apart from what they printed; only the times say what came after what. */
function inOrder(events: Event[]): Event[] {
  return events.sort((one, other) => one.time - other.time);
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
