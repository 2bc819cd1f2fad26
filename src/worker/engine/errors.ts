import { reasonOf } from '../../contract/reason.ts';
import { EngineError, type EngineErrorKind } from './engine.ts';
import { limits } from './limits.ts';

/** Tells kinds of errors apart by the words that registries and engines use: neither sends a code for them. */

const DENIED =
  /access denied|access to the resource is denied|\bdenied:|unauthorized|authentication required|no basic auth credentials|insufficient_scope|authorization failed|403 Forbidden|incorrect username or password/i;
const NOT_FOUND =
  /manifest unknown|manifest for \S+ not found|name unknown|repository name not known|: not found$|404 Not Found/i;
const DOCKERFILE =
  /dockerfile parse error|unknown instruction|(?:failed to read|cannot locate specified) dockerfile|dockerfile.* cannot be empty|file with no instructions|no build stage in current context|failed to create LLB definition: (?:base name|failed to parse stage name|failed to process)|invalid from flag value/i;

/** The kind of an error in which a registry spoke, or was not reached. */
export function registryErrorKind(message: string): 'denied' | 'not-found' | 'failed' {
  if (DENIED.test(message)) return 'denied';
  return NOT_FOUND.test(message) ? 'not-found' : 'failed';
}

/** Whether an error says that the Dockerfile is missing or cannot be read. */
export function isDockerfileError(message: string): boolean {
  return DOCKERFILE.test(message);
}

/** A build's error, as its kind and its words. */
export interface BuildFailure {
  readonly kind: EngineErrorKind;
  readonly message: string;
}

/** The kind of a build's error before any step began, or within the step `instruction`. */
export function buildErrorKind(message: string, instruction: string | null): EngineErrorKind {
  if (instruction === null && isDockerfileError(message)) return 'dockerfile';
  return instruction === null || /^(?:FROM |COPY --from=)/i.test(instruction)
    ? registryErrorKind(message)
    : 'failed';
}

/** The error of an engine that does not answer, or went away. */
export function unreachable(name: string, error: unknown): EngineError {
  return new EngineError('unreachable', `The engine at ${name} does not answer: ${reasonOf(error)}`, {
    cause: error,
  });
}

/** The error of a failed step, which names it. */
export function stepError(kind: EngineErrorKind, heading: string | null, message: string): EngineError {
  if (heading === null) return new EngineError(kind, message);
  const line = heading.replaceAll(/\s+/g, ' ').trim();
  const shown = line.length > limits.instructionLength ? `${line.slice(0, limits.instructionLength)}…` : line;
  return new EngineError(kind, `${shown}: ${message}`);
}
