import type { BuildFailure } from '../contract/api.ts';
import { buildErrorKinds, type BuildErrorCode } from '../contract/build-errors.ts';

/** What the user reads of a failure, in the catalogue's words and the failing part's own; those hold no secret. */
export function buildFailure(code: BuildErrorCode, baseError: string): BuildFailure {
  const { message, help } = buildErrorKinds[code];
  return { code, message, help, base_error: baseError };
}
