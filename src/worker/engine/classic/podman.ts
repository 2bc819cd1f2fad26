import { readFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { json } from 'node:stream/consumers';
import { DockerfileParser, From } from 'dockerfile-ast';
import { z } from 'zod';
import { formatStepHeading } from '../../../contract/log-messages.ts';
import { withDeadline } from '../deadline.ts';
import { EngineError, type ImageBuild } from '../engine.ts';
import { buildErrorKind, type BuildFailure } from '../errors.ts';
import type { Transport } from '../transport.ts';

/** Where Podman, which answers Docker's API, wants other words than Docker, or says other ones. */

export interface Podman {
  /** One that runs without root may not put steps into a control group of our choice. */
  readonly rootless: boolean;
}

const infoSchema = z.object({ SecurityOptions: z.array(z.string()).nullish() });

/** Says what there is to know of the engine when it is Podman, null for any other. */
export type FindPodman = (signal: AbortSignal) => Promise<Podman | null>;

/** Asks the engine each time who it is, and Podman once for the rest: that takes it the better part of a second. */
export function createPodmanFinder(transport: Transport): FindPodman {
  let known: Podman | null = null;
  const ask = async (path: string, signal: AbortSignal): Promise<IncomingMessage> =>
    transport.request(
      { method: 'GET', path, signal },
      (_status, message) => new EngineError('refused', message),
    );

  return async (signal) => {
    try {
      return await withDeadline(signal, async (bounded) => {
        const ping = await ask('/_ping', bounded);
        ping.destroy();
        if (ping.headers['libpod-api-version'] === undefined) return null;
        if (known === null) {
          const { SecurityOptions: options } = infoSchema.parse(await json(await ask('/info', bounded)));
          known = { rootless: options?.some((option) => option.startsWith('name=rootless')) ?? false };
        }
        return known;
      });
    } catch {
      if (signal.aborted) throw signal.reason;
      // Whoever does not answer these will say with the build what is wrong.
      return null;
    }
  };
}

/**
 * What Podman's `/build` needs to be told. Without `nsoptions` its steps are in the network of the machine itself, whatever
 * `networkmode` says. `cgroup` is the control group of the steps.
 */
export function podmanQuery(cgroup: string | null): Record<string, string> {
  return {
    nsoptions: JSON.stringify([{ Name: 'network' }]),
    ...(cgroup === null ? {} : { cgroupparent: cgroup }),
  };
}

const HEADING = /^(?:\[(\d{1,4})\/(\d{1,4})\] )?STEP (\d{1,6})\/(\d{1,6}): (.*)\n$/s;
const FROM_CACHE = /^--> Using cache [0-9a-f]{12,64}\n$/;

/**
 * Puts what Podman prints of its steps in Docker's words: it counts the steps of each stage from 1, and does not say how many
 * the other stages have; those are counted here, in the Dockerfile. Each label is one more step of the last stage.
 */
export async function createStepReader({
  dockerfile,
  labels,
}: Pick<ImageBuild, 'dockerfile' | 'labels'>): Promise<(text: string) => string> {
  // One that cannot be read here could not be sent either.
  const steps = stepsOfStages(await readFile(dockerfile, 'utf8').catch(() => ''));
  if (steps.length > 0) steps.push((steps.pop() ?? 0) + Object.keys(labels).length);
  const upTo = (stage: number): number => steps.slice(0, stage).reduce((sum, count) => sum + count, 0);
  return (text) => {
    if (FROM_CACHE.test(text)) return ' ---> Using cache\n';
    const [, stage = '1', stages = '1', step, total, instruction = ''] = HEADING.exec(text) ?? [];
    if (step === undefined || Number(stage) > Number(stages) || Number(stages) > steps.length) return text;
    // Its own count has what ONBUILD adds.
    steps[Number(stage) - 1] = Number(total);
    return `${formatStepHeading(upTo(Number(stage) - 1) + Number(step), upTo(Number(stages)), instruction)}\n`;
  };
}

/** How many instructions each stage has, its FROM among them. */
function stepsOfStages(text: string): number[] {
  const steps: number[] = [];
  for (const instruction of DockerfileParser.parse(text.replace(/^\uFEFF/, '')).getInstructions()) {
    if (instruction instanceof From) steps.push(1);
    else if (steps.length > 0) steps.push((steps.pop() ?? 0) + 1);
  }
  return steps;
}

/** The end of where the engine has put the build's context. */
const CONTEXT_FOLDER = /\/libpod_builder\d+\/build\/?/;
const UNKNOWN_INSTRUCTION = /^building at STEP "(\S+) [^"]*": Build error: Unknown instruction: .*/s;
const NO_DOCKERFILE =
  /^(?:stat \S+\/libpod_builder\d+\/build\/.+: no such file or directory$|no contents in "|no FROM statement found|The target ".*" was not found)/;

/** What an error of Podman's means, without paths of the engine's machine. */
export function podmanFailure(message: string, instruction: string | null): BuildFailure {
  const text = message.trim();
  const unknown = UNKNOWN_INSTRUCTION.exec(text)?.[1];
  if (unknown !== undefined) return { kind: 'dockerfile', message: `unknown instruction: ${unknown}` };
  const isDockerfile = instruction === null && NO_DOCKERFILE.test(text);
  return {
    kind: isDockerfile ? 'dockerfile' : buildErrorKind(text, instruction),
    message: withoutContextFolder(text),
  };
}

function withoutContextFolder(text: string): string {
  const pieces = text.split(CONTEXT_FOLDER);
  const last = pieces.pop() ?? '';
  return pieces.map((piece) => piece.slice(0, endOfWords(piece))).join('') + last;
}

/** Where the path begins that a text ends with. */
function endOfWords(text: string): number {
  let at = text.length;
  while (at > 0 && !/[\s"]/.test(text.charAt(at - 1))) at -= 1;
  return at;
}
