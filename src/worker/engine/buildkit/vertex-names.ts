/** The names that BuildKit's Dockerfile frontend gives to its work: `[stage 2/5] RUN make`, `[internal] load …`. */

export interface StepName {
  /** The stage, with its platform where there are several; '' in a Dockerfile of one stage. */
  readonly stage: string;
  /** How many steps its stage has. */
  readonly ofStage: number;
  readonly instruction: string;
}

const STEP = /^\[(?:(.+) )?\d{1,6}\/(\d{1,6})\] (.+)$/s;

/** Reads the name of a step of the Dockerfile, or null for other work. */
export function parseStepName(name: string): StepName | null {
  const match = STEP.exec(name);
  if (!match) return null;
  const [, stage = '', ofStage = '', instruction = ''] = match;
  return { stage, ofStage: Number(ofStage), instruction };
}

/** Whether this is work of the engine's own, of which a log says nothing. */
export function isInternal(name: string): boolean {
  return name.startsWith('[internal] ') || name.startsWith('[auth] ');
}

/** Whether this work asks a registry for an image. */
export function asksRegistry(name: string): boolean {
  return /^\[internal\] load metadata for |^\[auth\] |^(?:\[[^\]]+\] )?FROM /.test(name);
}
