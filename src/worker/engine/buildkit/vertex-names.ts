/** The names that BuildKit's Dockerfile frontend gives to its work: `[stage 2/5] RUN make`, `[internal] load …`. */

const STEP = /^\[(?:.+ )?\d{1,6}\/\d{1,6}\] (.+)$/s;

/** The instruction of a step of the Dockerfile, or undefined for other work. */
export function instructionOf(name: string): string | undefined {
  return STEP.exec(name)?.[1];
}

/** Whether this is work of the engine's own, of which a log says nothing. */
export function isInternal(name: string): boolean {
  return name.startsWith('[internal] ') || name.startsWith('[auth] ');
}

/** Whether this work asks a registry for an image. */
export function asksRegistry(name: string): boolean {
  return /^\[internal\] load metadata for |^\[auth\] |^(?:\[[^\]]+\] )?FROM /.test(name);
}
